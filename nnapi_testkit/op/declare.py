"""How an operation is declared: signatures, cells, outputs, samples.

An op file in `op_tests/` builds one `Op` (or a tight family of them) from these parts. It says
what the NNAPI reference promises and nothing else; the rooms above derive cases, refusals,
answers and documentation from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnapi_testkit.op.bounds import Bound as Bound
from nnapi_testkit.op.cell import Cell as Cell
from nnapi_testkit.op.cell import Reference as Reference
from nnapi_testkit.op.cell import TypeName
from nnapi_testkit.op.later import Later
from nnapi_testkit.op.readings import Contest, Form
from nnapi_testkit.op.rules import Rule
from nnapi_testkit.spec.codes import OPERATION_SINCE, OperandCode, OperationCode
from nnapi_testkit.spec.kinds import OutputKind

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor operand of a signature.

    Args:
        name: what samples and the reference call it.
        type: `T`, an `OperandCode` name, or any name that cells map to a type.
        rank: lowest and highest rank the documentation allows; a highest rank above 4 is where
            samples end, for the documentation names no limit there.
        like: name of the tensor whose scale and zero point this one must share.
        weight: constant by default (filters, biases, attribute tensors); a variation turns
            weights into model inputs.
        optional: may be omitted by `setOperandValue(null, 0)`, or left out when trailing.
        many: stands for one or more consecutive tensors; handed over as a list.
        spatial: follows the NHWC/NCHW flag. Samples give NHWC shapes; the reference always
            sees NCHW.
        domain: real interval that generated data stay in (floats; quantized codes outside
            it are not drawn).
        quant: fixed (scale, zero point), or a function of (type, sample facts).
        bias_of: names of input and filter whose scales multiply to this tensor's scale; a scalar
            operand among them is a scale itself.
        channel_dim: channel dimension where a cell makes this tensor per-channel quantized,
            or a function of the shape giving it.
        codes: the reference gets the integers of a quantized tensor as they are, without scale
            and zero point.
        level: feature level that introduced the operand.
        any_type: the documentation does not say that other types are wrong.
    """

    name: str
    type: TypeName = "T"
    rank: tuple[int, int] = (1, 4)
    like: str | None = None
    weight: bool = False
    optional: bool = False
    many: bool = False
    spatial: bool = False
    domain: tuple[float, float] | None = None
    quant: tuple[float, int] | Callable[[OperandCode, Facts], tuple[float, int]] | None = None
    bias_of: tuple[str, str] | None = None
    channel_dim: int | Callable[[Shape], int] = 0
    level: int = 1
    codes: bool = False
    any_type: bool = False


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar operand: always a constant of the model.

    Args:
        type: `INT32`, `FLOAT32`, `BOOL`, `real`, or a name that cells map to a type.
        allowed: the legal values, if they are few (refusals are drawn from outside).
        optional: may be left out when trailing; `default` is its documented default.
        like: name of the tensor whose scale and zero point give its integers their real value,
            where that tensor is quantized.
        any_real: beside TENSOR_FLOAT16 both FLOAT32 and FLOAT16 are in use, because the reference
            names no type or does not tell the precisions apart: neither makes a refusal.
    """

    name: str
    type: TypeName = "INT32"
    allowed: tuple[int, ...] | None = None
    minimum: float | None = None
    optional: bool = False
    default: int | float | bool | None = None
    level: int = 1
    like: str | None = None
    any_real: bool = False


Input = Tensor | Scalar


def activation(optional: bool = False) -> Scalar:
    """The fused activation (`FuseCode`)."""
    return Scalar("activation", allowed=(0, 1, 2, 3), optional=optional, default=0)


def layout(level: int = 3, optional: bool = True) -> Scalar:
    """The NCHW flag; NHWC when false or left out."""
    return Scalar("nchw", "BOOL", optional=optional, default=False, level=level)


def ints(
    name: str, *, rank: int = 1, weight: bool = True, optional: bool = False, level: int = 1
) -> Tensor:
    """A TENSOR_INT32 of attributes (axes, permutations, paddings, shapes)."""
    return Tensor(
        name, "TENSOR_INT32", rank=(rank, rank), weight=weight, optional=optional, level=level
    )


@dataclass(frozen=True, slots=True)
class Output:
    """An output: its type, its shape from the inputs, its quantization.

    Args:
        shape: function of the sample's facts giving the NHWC (or plain) shape.
        like: name of the input whose scale and zero point it must share.
        quant: fixed (scale, zero point) by type, or a function of (type, facts).
        span: function of the facts giving the real interval a quantized output should
            cover; scale and zero point follow from it.
        many: length of a list of outputs, from the facts.
        opaque: a scratch buffer: its dimensions are judged, its contents mean nothing.
        optional: may be left out when trailing; a variation asks for such outputs.
        when: function of the facts: whether the output exists at all; where it does not, the
            reference returns None in its place.
        counted: dimension 0 follows from the data; `shape` gives the most it can be, and the
            model leaves it unknown.
        kind: how elements are judged; for draws the reference returns the probability of each
            class along one more dimension.
        level: feature level that introduced the output.
        codes: what the reference returns for a quantized output are its integers.
    """

    name: str = "out"
    shape: Callable[[Facts], Shape] = lambda facts: facts.shape(0)
    type: TypeName = "T"
    like: str | None = None
    quant: (
        Mapping[str, tuple[float, int]] | Callable[[OperandCode, Facts], tuple[float, int]] | None
    ) = None
    span: Callable[[Facts], tuple[float, float]] | None = None
    spatial: bool = False
    many: Callable[[Facts], int] | None = None
    codes: bool = False
    opaque: bool = False
    optional: bool = False
    when: Callable[[Facts], bool] | None = None
    counted: bool = False
    kind: OutputKind = OutputKind.EACH
    level: int = 1


class Sample:
    """One set of shapes and attributes, named.

    Args:
        name: the last part of the case id.
        level: feature level it needs beyond its cell and operands.
        only: names of the cells it is for (default all); `skip`: those it is not for.
        large: has at least 1,000 outputs (statistics are judged on it).
        variations: extra variation names to apply, or `()` for the base case alone.
        rows: how many rows counted outputs have with these data; where it is told, executions
            that need all dimensions beforehand are possible.
        like: operands (or `out`) that share the quantization of another one in this sample,
            as a mapping of names; the elements of a list are called `inputs[0]`, ...
        quants: scale and zero point of operands and outputs by name, where the sample has its own;
            per-channel operands have a scale for each channel in the place of both.
        contest: the question that the sample asks, where documentation and field differ in it.
        **operands: a tuple is a tensor's shape (data are generated), a list or `Given` its
            values, a number a scalar, `None` omits an optional operand.
    """

    __slots__ = (
        "contest",
        "large",
        "level",
        "like",
        "name",
        "only",
        "operands",
        "quants",
        "rows",
        "skip",
        "variations",
    )

    def __init__(
        self,
        name: str,
        *,
        level: int = 1,
        only: Iterable[str] = (),
        skip: Iterable[str] = (),
        large: bool = False,
        variations: tuple[str, ...] | None = None,
        rows: int | None = None,
        like: Mapping[str, str] | None = None,
        quants: Mapping[str, Any] | None = None,
        contest: Contest | None = None,
        **operands: Any,
    ) -> None:
        self.name = name
        self.level = level
        self.only = frozenset(only)
        self.skip = frozenset(skip)
        self.large = large
        self.variations = variations
        self.rows = rows
        self.like = dict(like or {})
        self.quants = dict(quants or {})
        self.contest = contest
        self.operands: dict[str, Any] = operands

    def derived(
        self,
        name: str,
        operands: Mapping[str, Any],
        *,
        quants: Mapping[str, Any] | None = None,
        variations: tuple[str, ...] | None = None,
        level: int = 1,
    ) -> Sample:
        """The sample with other operands, small, and meant for the same cells."""
        return Sample(
            name,
            level=max(self.level, level),
            only=self.only,
            skip=self.skip,
            variations=variations,
            like=self.like,
            quants={**self.quants, **(quants or {})},
            contest=self.contest,
            **operands,
        )

    def fits(self, cell: Cell) -> bool:
        """Whether the sample is meant for `cell`."""
        return (not self.only or cell.name in self.only) and cell.name not in self.skip

    def __repr__(self) -> str:
        return f"Sample({self.name!r}, {self.operands!r})"


@dataclass(frozen=True, slots=True)
class Given:
    """Explicit tensor values in a sample: real values, or codes for integers."""

    values: Any
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """A tensor of generated integers, uniform in [low, high]: indexes, class ids, lengths."""

    shape: Shape
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Reals:
    """A tensor of generated real numbers, uniform in [low, high)."""

    shape: Shape
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Distinct:
    """A tensor of generated values of which no two along `axis` are equal.

    They are evenly spaced in [-2, 2), or in the range of the codes, in random order.
    """

    shape: Shape
    axis: int = -1


@dataclass(frozen=True, slots=True)
class Codes:
    """A tensor of generated integers in a part of its type's range.

    Args:
        where: `low` and `high`: the limits alone; `ends`: both, in turn of odd length; `near`:
            within 3 of the zero point; `far`: within 3 of a limit; `hollow-first`, `hollow-last`:
            any, but zeros at index 0 of the first or last dimension; `wide`: the whole range of
            TENSOR_INT32; `signed`, `half` and `root`: as far as signs, and sums and products of
            two, still fit.
    """

    shape: Shape
    where: str


@dataclass(frozen=True, slots=True)
class Floats:
    """A tensor of generated floats where naive formulas lose what sound ones keep.

    Args:
        where: `offset`: a large mean with a small spread; `cancel`: neighbours that cancel but for
            a little; `equal`: apart by a few units in the last place; `subnormal`.
    """

    shape: Shape
    where: str


class Facts:
    """What is known about a sample without its data: shapes, attributes, data ranges.

    Attributes of the operation are reached by name: `facts["stride_w"]`.
    """

    __slots__ = ("amplitudes", "cell", "inputs", "quants", "shapes", "types", "values")

    def __init__(
        self,
        cell: Cell,
        inputs: list[str],
        shapes: dict[str, Any],
        values: dict[str, Any],
        amplitudes: dict[str, float],
        quants: dict[str, tuple[float, int]],
    ) -> None:
        self.cell = cell
        self.inputs = inputs
        self.shapes = shapes
        self.values = values
        self.amplitudes = amplitudes
        self.quants = quants

    def shape(self, which: int | str) -> Shape:
        """NHWC (or plain) shape of the input with this position or name."""
        name = self.inputs[which] if isinstance(which, int) else which
        return tuple(self.shapes[name])

    def amplitude(self, which: int | str) -> float:
        """Half the width of the real interval the input's data are drawn from."""
        name = self.inputs[which] if isinstance(which, int) else which
        return self.amplitudes.get(name, 1.0)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of an attribute, or `default` if the sample leaves it out."""
        value = self.values.get(name, default)
        return default if value is None else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """An operation as the NNAPI reference describes it.

    Args:
        name: name in `OperationCode`.
        signatures: its input lists; the first whose types fit is used.
        outputs: its outputs.
        cells: documented types.
        reference: eager PyTorch; see `Reference`.
        bound: acceptance rule.
        samples: list, or function of the cell.
        ambiguity: how an unclear passage of the documentation was read.
        exempt: function of the situation: elements the documentation leaves open.
        graphs: for control flow: function of the cell giving `GraphSample`s.
        by_cell: the reference also gets the keyword `cell`: what it computes depends on types.
        axes: operands that count dimensions: of which tensor, and how many dimensions more the
            result has; refusals go beyond `{"axis": ("input", 0)}` on either side.
        ties: dimensions that have to agree, as `bias.0=filter.0` or `paddings.0=rank(input)`:
            operand and axis, then what it equals. Refusals make the first one longer.
        fixed: operands whose shape or value other seeds leave alone, because they are tied to
            others in a way that no rule sees; `*` stands for all.
        valid: function of the facts: whether the documentation allows these attributes together;
            other seeds ask it before they use what they drew.
        batched: operands whose dimension 0 is the batch, where each of its members is computed by
            itself and dimension 0 of every output is the batch too; or a function of the facts
            giving the axis of each such operand and of outputs where it is another one.
        unpaired: relations of `cases.relations` that fit by their types and do not hold.
        forms: operand types that only some devices take; see `Form`.
        rules: what has to hold between operands beyond `axes` and `ties`; refusals break each.
        later: what it means only from a feature level on; see `Later`.
    """

    name: str
    signatures: tuple[tuple[Input, ...], ...]
    outputs: tuple[Output, ...]
    cells: tuple[Cell, ...]
    reference: Reference
    bound: Bound
    samples: Sequence[Sample] | Callable[[Cell], Sequence[Sample]]
    ambiguity: str = ""
    exempt: Callable[[Any], tuple[Any, ...]] | None = None
    graphs: Callable[[Cell], Iterable[Any]] | None = None
    level: int = 0
    by_cell: bool = False
    axes: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    ties: tuple[str, ...] = ()
    fixed: frozenset[str] = frozenset()
    valid: Callable[[Facts], bool] | None = None
    batched: tuple[str, ...] | Callable[[Facts], Mapping[str, int]] = ()
    unpaired: frozenset[str] = frozenset()
    rules: tuple[Rule, ...] = ()
    later: tuple[Later, ...] = ()
    forms: tuple[Form, ...] = ()

    def batch_axes(self, facts: Facts) -> dict[str, int]:
        """The axis of the batch in operands and outputs, by name; empty where there is none."""
        if callable(self.batched):
            return dict(self.batched(facts))
        return dict.fromkeys(self.batched, 0)

    @property
    def code(self) -> OperationCode:
        """Its operation code."""
        return OperationCode[self.name]

    @property
    def since(self) -> int:
        """The feature level that introduced it."""
        return OPERATION_SINCE[self.name]

    def samples_for(self, cell: Cell) -> list[Sample]:
        """The samples meant for `cell`."""
        found = self.samples(cell) if callable(self.samples) else self.samples
        return [sample for sample in found if sample.fits(cell)]
