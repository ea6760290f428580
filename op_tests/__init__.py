"""One small file per operation or tight family: what the NNAPI reference promises."""
