"""Why an operator of LiteRT's has no rule: what NNAPI lacks, and what would cure it."""

from __future__ import annotations

__all__ = ["REASONS"]

_SHAPES = "its result's size follows from data, which NNAPI has in a few operations alone"
_STRINGS = "it works on strings or resources, and NNAPI has numbers alone"
_INDEXED = "NNAPI gathers along one axis; write it with GATHER or EMBEDDING_LOOKUP"
_SEGMENTS = "NNAPI has no scatter or segment operation"
_INTEGERS = "NNAPI has no bit operations and no remainder"
_GRAPHS = "graphs of their own: the kit does not read them, and LiteRT's delegate takes none"
_3D = "NNAPI has convolutions of two dimensions"
_RANDOM = "NNAPI computes the same for the same inputs: make it an input"

REASONS: dict[str, str] = {
    "ADD_N": "write it as a chain of ADD",
    "ATAN2": "NNAPI has no arc tangent",
    "BITCAST": _INTEGERS,
    "BITWISE_XOR": _INTEGERS,
    "BROADCAST_ARGS": "shapes are no data in NNAPI",
    "BUCKETIZE": "write it with comparisons and REDUCE_SUM",
    "CALL": "the converter inlines functions; convert the model anew",
    "CALL_ONCE": "NNAPI has no initialization: freeze variables into constants",
    "COMPLEX_ABS": "NNAPI has no complex numbers",
    "CONV_3D": _3D,
    "CONV_3D_TRANSPOSE": _3D,
    "COS": "NNAPI has no cosine; write it as SIN of what is a quarter turn more",
    "CUMSUM": "NNAPI has no running sum; multiply by a triangular matrix",
    "DILATE": "NNAPI has no dilation by itself; TRANSPOSE_CONV spreads an image",
    "DYNAMIC_UPDATE_SLICE": _SEGMENTS,
    "FAKE_QUANT": "it belongs to training: convert the trained model to a quantized one",
    "FLOOR_MOD": _INTEGERS,
    "GATHER_ND": _INDEXED,
    "GELU": "NNAPI has no error function; convert with gelu written out by tanh",
    "IF": _GRAPHS,
    "IMAG": "NNAPI has no complex numbers",
    "MATRIX_DIAG": _SEGMENTS,
    "MATRIX_SET_DIAG": _SEGMENTS,
    "MULTINOMIAL": "its draws are random by themselves; NNAPI's are seeded",
    "NON_MAX_SUPPRESSION_V4": "NNAPI has it with boxes by class (BOX_WITH_NMS_LIMIT) alone",
    "NON_MAX_SUPPRESSION_V5": "NNAPI has it with boxes by class (BOX_WITH_NMS_LIMIT) alone",
    "ONE_HOT": "write it as EQUAL of the indices and a range, and SELECT",
    "RANDOM_STANDARD_NORMAL": _RANDOM,
    "RANDOM_UNIFORM": _RANDOM,
    "RANGE": _SHAPES,
    "RANK": "ranks are no data in NNAPI; it is known where the rank is",
    "REAL": "NNAPI has no complex numbers",
    "REDUCE_WINDOW": "NNAPI has windows of images alone, in its pools",
    "REVERSE_SEQUENCE": "NNAPI reverses all of a batch alike (REVERSE)",
    "RFFT2D": "NNAPI has no Fourier transform",
    "RIGHT_SHIFT": _INTEGERS,
    "ROUND": "NNAPI has FLOOR alone, which does not round halves to even",
    "SCATTER_ND": _SEGMENTS,
    "SEGMENT_SUM": _SEGMENTS,
    "SHAPE": "shapes are no data in NNAPI: convert with fixed sizes",
    "SIGN": "write it with comparisons and SELECT",
    "SKIP_GRAM": _STRINGS,
    "CONCAT_EMBEDDINGS": _STRINGS,
    "EMBEDDING_LOOKUP_SPARSE": "NNAPI has EMBEDDING_LOOKUP of one row for each index",
    "SPARSE_TO_DENSE": _SEGMENTS,
    "UNIQUE": _SHAPES,
    "WHERE": _SHAPES,
    "WHILE": _GRAPHS,
    "ZEROS_LIKE": "write it as MUL by 0, or as a constant",
    **dict.fromkeys(
        (
            "UNSORTED_SEGMENT_MAX",
            "UNSORTED_SEGMENT_MIN",
            "UNSORTED_SEGMENT_PROD",
            "UNSORTED_SEGMENT_SUM",
        ),
        _SEGMENTS,
    ),
    **dict.fromkeys(
        (
            "ASSIGN_VARIABLE",
            "HASHTABLE",
            "HASHTABLE_FIND",
            "HASHTABLE_IMPORT",
            "HASHTABLE_SIZE",
            "READ_VARIABLE",
            "VAR_HANDLE",
        ),
        _STRINGS,
    ),
}
