/* What a hostile driver does while it executes; hostile.c lists the kinds. */
#ifndef NNAPI_TEST_HOSTILE_H
#define NNAPI_TEST_HOSTILE_H

/* Acts as the kind of this name; gives the result code that the execution is to return, 0 to go
 * on. An unknown name ends the process with status 99. */
int hostile(const char* kind);

#endif
