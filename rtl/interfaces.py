"""The bundles of wires between the rooms of an engine, seen from the side that drives them.

::

    program reader ─ Construction ─► constructor ─ TileWrite ─► tile buffer ─ Weights ─┐
        │    └────── RecordWrite ──► post-processor                                    │
        └ layer tables ─► layer memory ◄─ WindowTableRead ─ window ─ WeightRead ───────┤
                              ▲                               │                        ▼
                       StoreTableRead                   ActivationRead ── pixels ─► PE array
                              │                               ▼                        │
                            store ──── ActivationWrite ─► activations                 Sums
                              ▲                                                        ▼
                              └───────────────── Outputs ──────────────────── post-processor
"""

from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from .configuration import Configuration
from .program.layer_table import Increment, LayerTable
from .program.packets import ChannelRecord, ConstructionDescriptor, ErrorCode, words_of

__all__ = [
    "ActivationRead",
    "ActivationWrite",
    "Construction",
    "Outputs",
    "PixelTile",
    "RecordWrite",
    "Status",
    "Step",
    "StoreTableRead",
    "Sums",
    "TileWrite",
    "WeightRead",
    "Weights",
    "WindowTableRead",
    "packet_stream",
]


def packet_stream(bits: int) -> stream.Signature:
    """A stream of words of so many bits; ``last`` comes with the last one of a packet."""
    return stream.Signature(data.StructLayout({"data": bits, "last": 1}))


class Status(wiring.Signature):
    """What an engine tells of itself.

    Members
    -------
    state : `hiddenite.rtl.engine.State`
    error : `ErrorCode`
    layer : number of the layer that is being run (0: the image is loaded), modulo 256
    """

    def __init__(self):
        super().__init__({"state": Out(2), "error": Out(ErrorCode), "layer": Out(16)})


class Construction(wiring.Signature):
    """What the program reader tells the constructor, tile after tile.

    Members
    -------
    layer : descriptor, stable while its tiles are constructed
    clear : before a program
    key_word : the word of ``masks`` is the next word of the layer's key (see `SignGenerator`)
    start_layer : a new layer's descriptor and key are there (for one cycle)
    start_tile : begins a tile (for one cycle); there must be ``room``
    half : which half of the tile buffer a tile has unless it takes more; 0 first, then in turn
    channels_last : output channels of the tile - 1
    commit_tile : the tile that was constructed last is right (for one cycle)
    masks : mask words of the tile
    room : the tile buffer has room for a tile of this layer
    complete : the tile is constructed and no lane needs another word
    """

    def __init__(self, c: Configuration):
        super().__init__(
            {
                "layer": Out(ConstructionDescriptor(c)),
                "clear": Out(1),
                "key_word": Out(1),
                "start_layer": Out(1),
                "start_tile": Out(1),
                "half": Out(1),
                "channels_last": Out(ceil_log2(c.och)),
                "commit_tile": Out(1),
                "masks": Out(stream.Signature(c.program_bits)),
                "room": In(1),
                "complete": In(1),
            }
        )


class RecordWrite(wiring.Signature):
    """Writes a word of a channel record, or one with the narrow records of two channels.

    Members
    -------
    words : which word of the record it is, one bit each
    narrow : the record is narrow
    channel, half : where the record goes: output channel of the tile (the even one of two), half of
        the memory
    data : the word
    """

    def __init__(self, c: Configuration):
        super().__init__(
            {
                "words": Out(words_of(ChannelRecord(c), c.program_bits)),
                "narrow": Out(1),
                "channel": Out(ceil_log2(c.och)),
                "half": Out(1),
                "data": Out(c.program_bits),
            }
        )


class TileWrite(wiring.Signature):
    """One constructor lane's way into its slices of the tile buffer.

    Members
    -------
    enable : writes in this cycle
    slice : lane n writes the output channels n, n + lanes, n + 2 * lanes, ...: which of them
    address, data : the word: ich masks (low half) and ich signs
    """

    def __init__(self, c: Configuration):
        super().__init__(
            {
                "enable": Out(1),
                "slice": Out(ceil_log2(c.och // c.constructor_lanes)),
                "address": Out(ceil_log2(c.tile_words)),
                "data": Out(2 * c.ich),
            }
        )


class WeightRead(wiring.Signature):
    """Reads a word of every output channel.

    Members
    -------
    address : the word
    step : it is read for a step of the array
    """

    def __init__(self, c: Configuration):
        super().__init__({"address": Out(ceil_log2(c.tile_words)), "step": Out(1)})


class Weights(wiring.Signature):
    """Weights of a step.

    Members
    -------
    masks, signs : ich bits for each output channel; bit i comes `weight_skew` late, those of a
        channel its `channel_delays`; signs are 0 where masks are, and encoded as the build of the
        array asks
    """

    def __init__(self, c: Configuration):
        super().__init__({"masks": Out(c.och * c.ich), "signs": Out(c.och * c.ich)})


class WindowTableRead(wiring.Signature):
    """The window reads a row of its layer's table.

    Members
    -------
    enable, row : reads a row; what was read stays until another is
    increment, residual : what was read, a cycle later
    """

    def __init__(self, c: Configuration):
        super().__init__(
            {
                "enable": Out(1),
                "row": Out(ceil_log2(LayerTable(c).depth)),
                "increment": In(Increment(c)),
                "residual": In(c.address_bits),
            }
        )


class StoreTableRead(wiring.Signature):
    """The store reads a row of its layer's table in each cycle.

    Members
    -------
    row : the row
    increment : what was read, a cycle later
    """

    def __init__(self, c: Configuration):
        super().__init__(
            {"row": Out(ceil_log2(LayerTable(c).depth)), "increment": In(c.address_bits)}
        )


class Step(data.StructLayout):
    """What travels beside the operands of a step.

    Members
    -------
    valid, residual : a step of the array; a read of a residual word
    first, last : of a pixel tile
    part : which part of the word the output channels are (``och < ich`` only), of a residual and of
        a pool; 0 for a conv's step
    """

    def __init__(self, c: Configuration):
        super().__init__(
            {
                "valid": 1,
                "residual": 1,
                "first": 1,
                "last": 1,
                "part": ceil_log2(c.ich // c.unit),
            }
        )


class ActivationRead(wiring.Signature):
    """Reads a word for each pixel of a tile.

    Members
    -------
    address, bank_y, bank_x : word of the window's first pixel, and the bank it is in
    rows, cols : which rows and columns of the window are inside the map
    step : `Step`
    """

    def __init__(self, c: Configuration):
        super().__init__(
            {
                "address": Out(c.address_bits),
                "bank_y": Out(ceil_log2(c.rows)),
                "bank_x": Out(ceil_log2(c.cols)),
                "rows": Out(c.rows),
                "cols": Out(c.cols),
                "step": Out(Step(c), init={"first": 1}),
            }
        )


class ActivationWrite(wiring.Signature):
    """Writes parts of a word.

    Members
    -------
    enable : writes in this cycle
    bank_y, columns, address : row of banks, which of its banks, and the word in each of them
    data : a word for each of `post_pixels` columns, and again for those that follow
    parts : which units of ``min(ich, och)`` bytes of the word are written
    """

    def __init__(self, c: Configuration):
        super().__init__(
            {
                "enable": Out(1),
                "bank_y": Out(ceil_log2(c.rows)),
                "columns": Out(c.cols),
                "address": Out(c.address_bits),
                "data": Out(c.post_pixels * 8 * c.ich),
                "parts": Out(c.ich // c.unit),
            }
        )


class PixelTile(wiring.Signature):
    """What the window tells the post-processor of a pixel tile.

    Members
    -------
    issued : its last step is issued in this cycle
    tile_last : it is the last one of a tile of output channels
    """

    def __init__(self):
        super().__init__({"issued": Out(1), "tile_last": Out(1)})


class Sums(wiring.Signature):
    """Accumulators of a pixel tile.

    Members
    -------
    done : bit n: ``totals`` are those of a whole pixel tile for pixel n, or will be when its
        channels' `channel_delays` have passed
    totals : output channel fastest, then column, then row
    """

    def __init__(self, c: Configuration):
        super().__init__(
            {"done": Out(c.banks), "totals": Out(c.banks * c.och * c.accumulator_bits)}
        )


class Outputs(wiring.Signature):
    """Outputs on their way to the store.

    Members
    -------
    valid, values : ``post_lanes`` outputs of 32 bits for each of ``post_pixels`` pixels; only
        those of the first one count where a beat has one pixel
    begins : a beat begins its way
    advance : outputs are taken in this cycle, and otherwise stay; with ``pipelining`` they never
        stay, and another beat may begin its way
    """

    def __init__(self, c: Configuration):
        super().__init__(
            {
                "valid": Out(1),
                "values": Out(c.post_pixels * 32 * c.post_lanes),
                "begins": Out(1),
                "advance": In(1),
            }
        )
