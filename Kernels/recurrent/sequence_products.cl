// The two products of sequence.cl for one tile: some rows of a step and some hidden units, with all
// of their gates.
//
//   pack_gates   weight_ih or weight_hh into panels (panel.cl) that hold all gates of some units.

#include "gemm/panel.cl"
#include "recurrent/layer.cl"

// A tile is UNIT_VECTORS vectors of units, so many that their gates fill whole panels of two
// vectors. A gate whose recurrent product has a slot of its own (PLAIN_GATES of layer.cl) comes
// last, in a panel of its own, and that panel has two pairs of sums: the recurrent product and
// then the input product.
#define UNIT_VECTORS (GATES % 2 ? 2 : 1)
#define TILE_UNITS (UNIT_VECTORS * WIDTH)
#define TILE_PANELS (UNIT_VECTORS * GATES / 2)
#define PLAIN_VECTORS (UNIT_VECTORS * PLAIN_GATES)
#define PLAIN_PANELS (PLAIN_VECTORS / 2)
/// The gate of vector v of a tile, and which vector of the tile's units it is for.
#define GATE_OF(v) ((v) < PLAIN_VECTORS ? (v) % PLAIN_GATES : PLAIN_GATES)
#define UNITS_OF(v) ((v) < PLAIN_VECTORS ? (v) / PLAIN_GATES : (v)-PLAIN_VECTORS)
/// The pairs of sums of a tile, and all sums of one of its rows: the slots of its units.
#define SUM_PAIRS (TILE_PANELS + (PLAIN_GATES < GATES))
#define TILE_SUMS (UNIT_VECTORS * SLOTS)

/// Packs a weight [G H, K] for the forward products. Global size: tiles of TILE_UNITS units.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
pack_gates(global const float *weight, global Packed *panels, int H, int K) {
  const int first = get_global_id(0) * TILE_UNITS;
  panels += (size_t)get_global_id(0) * TILE_PANELS * K * COLUMNS;
  for (int k0 = 0; k0 < K; k0 += PACK_DEPTH) {
    const int end = min(k0 + PACK_DEPTH, K);
    for (int j = 0; j < TILE_PANELS * COLUMNS; ++j) {
      const int v = j / WIDTH, unit = first + UNITS_OF(v) * WIDTH + j % WIDTH;
      global const float *row = weight + ((size_t)GATE_OF(v) * H + unit) * K;
      global Packed *column = panels + (size_t)(j / COLUMNS) * K * COLUMNS + j % COLUMNS;
      for (int k = k0; k < end; ++k) store_element(unit < H ? row[k] : 0.0f, column + k * COLUMNS);
    }
  }
}

/// The inputs x [T, N, C], `bias` = bias_ih and `bias2` = bias_hh, which is null where
/// layer->bias_hh has it, and weight_ih packed by pack_gates. With x null `gates` holds x W^T + b
/// already.
typedef struct {
  global const float *x, *bias, *bias2;
  global const Packed *weights_ih;
  int C;
} Inputs;

/// A step: its t, whether its rows are multiplied alone, whether any state before it is not zero,
/// whether it is the one before the first, which multiplies the inputs of all steps, and whether
/// the gates and states of the cell update are asked for before the product.
typedef struct {
  int t, alone, has_recurrent_input, inputs_only, fetches;
} Step;

/// The rows that are taken through all tiles together: what is read again for each tile stays in
/// the first caches.
#define ROWS_TOGETHER 64

/// The entries of a RowBlock: behind the last row the same again, for call_rows.
#define BLOCK_ROOM (ROWS_TOGETHER + 1)

/// A block: up to ROWS_TOGETHER rows, the sequence of each, and where what they read and write
/// begins. (Not a block of a block-diagonal weight_hh: block_units, block_states.)
///
/// `h`, `c` and `recurrent_input` are null where the state is zero, `x` where `gates` holds the
/// input product already. With `inputs_only` each row is one step of a sequence, and only
/// `sequence`, `gates` and `x` are set.
typedef struct {
  int sequence[BLOCK_ROOM];
  global float *gates[BLOCK_ROOM], *y[BLOCK_ROOM];
  global const float *x[BLOCK_ROOM], *recurrent_input[BLOCK_ROOM];
  global const float *h[BLOCK_ROOM], *c[BLOCK_ROOM];
} RowBlock;

/// Some rows of a block, from `row` on, for the units of one tile, from `first` on. `way` is 1
/// where the work-item takes its tiles upward, -1 downward: the next tile begins `way` tiles
/// further.
typedef struct {
  const Layer *layer;
  const Inputs *inputs;
  const Step *step;
  const RowBlock *block;
  int row, first, way;
} Tile;

/// A pair of sums of a tile: its panel, which products are added to it, and for both vectors the
/// first row of the weights, gate H + unit, which is also the place in biases and in a row of
/// `gates`; the units that there are (none for 0 and less), the sum, and the biases
/// that come before the input product and between the two products.
typedef struct {
  int panel, has_input, has_recurrent, column[2], count[2], sum[2];
  REAL begin[2], between[2];
} Pair;

INLINE void find_pair(Pair *pair, int index, int first, int H) {
  pair->has_input = index != PLAIN_PANELS;
  pair->has_recurrent = index <= PLAIN_PANELS;
  pair->panel = index > PLAIN_PANELS ? index - 1 : index;
  for (int v = 0; v < 2; ++v) {
    const int gate = GATE_OF(2 * pair->panel + v), u = UNITS_OF(2 * pair->panel + v);
    pair->column[v] = gate * H + first + u * WIDTH;
    pair->count[v] = H - first - u * WIDTH;
    pair->sum[v] = u * SLOTS + (pair->has_input ? gate : RECURRENT_SLOT(gate));
  }
}

/// The biases of a pair: `begin` comes before the input product, `between` between the products.
/// bias_hh is in `begin` where it is `bias2`, in `between` where it is layer->bias_hh, never in
/// both: the order of the sum is the same whenever the inputs are multiplied.
INLINE void load_biases(Pair *pair, const Tile *tile) {
  const Inputs *inputs = tile->inputs;
  global const float *bias_hh = tile->step->inputs_only ? 0 : tile->layer->bias_hh;
  for (int v = 0; v < 2; ++v) {
    const int column = pair->column[v], count = pair->count[v];
    pair->begin[v] = pair->between[v] = (REAL)(0.0f);
    if (count <= 0) continue;
    if (pair->has_input && inputs->x) {
      if (inputs->bias) pair->begin[v] = load_lanes(inputs->bias + column, count);
      if (inputs->bias2) pair->begin[v] += load_lanes(inputs->bias2 + column, count);
    }
    if (pair->has_recurrent && bias_hh) pair->between[v] = load_lanes(bias_hh + column, count);
  }
}

/// A pair begins as the input product that `gates` holds.
INLINE void load_input_product(int rows, REAL sums[ROWS][TILE_SUMS], const Pair *pair,
                               global float *const *gates) {
  for (int v = 0; v < 2; ++v) {
    const int column = pair->column[v], count = pair->count[v], sum = pair->sum[v];
    for (int r = 0; r < rows; ++r) {
      sums[r][sum] = count > 0 ? load_lanes(gates[r] + column, count) : (REAL)(0.0f);
    }
  }
}

/// Two products with panels: rows x, C long, and rows h, K long. There is none where a panel is
/// null. `way` is that of the tile.
typedef struct {
  global const float *const *x, *const *h;
  global const Packed *panel_x, *panel_h;
  int C, K, way;
} PanelPair;

#define BEGIN_SUMS(r)                                                                              \
  if (r < rows) registers[r][0] = pair->begin[0], registers[r][1] = pair->begin[1];
#define LOAD_BEGUN_SUMS(r)                                                                         \
  if (r < rows) registers[r][0] = sums[r][left], registers[r][1] = sums[r][right];
#define ADD_BETWEEN(r)                                                                             \
  if (r < rows) registers[r][0] += pair->between[0], registers[r][1] += pair->between[1];
#define STORE_BEGUN_SUMS(r)                                                                        \
  if (r < rows) sums[r][left] = registers[r][0], sums[r][right] = registers[r][1];

/// Adds the input product and the recurrent product to a pair of sums, which begin as its bias, or
/// with `is_begun` as what they are. They stay in registers all the time. `rows` is a constant
/// wherever this is called; `row` is the first of them in the block.
INLINE void add_products(const int rows, int row, REAL sums[ROWS][TILE_SUMS], const Pair *pair,
                         int is_begun, const PanelPair *products) {
  const int left = pair->sum[0], right = pair->sum[1];
  REAL registers[ROWS][2];
  if (is_begun) {
    EACH_ROW(LOAD_BEGUN_SUMS)
  } else {
    EACH_ROW(BEGIN_SUMS)
  }
  // One loop for both, which halves the code.
#pragma unroll 1
  for (int i = 0; i < 2; ++i) {
    global const Packed *panel = i ? products->panel_h : products->panel_x;
    if (i) {
      EACH_ROW(ADD_BETWEEN)
    }
    if (!panel) continue;
    global const float *const *a = i ? products->h : products->x;
    const int depth = i ? products->K : products->C;
    // The same panel of the next tile.
    const long distance = (long)products->way * TILE_PANELS * depth * COLUMNS;
    global const Packed *ahead = quarter_ahead(panel, distance, depth, row);
    if (rows == 1) row_product(registers[0], a[0], panel, depth);
    else panel_product(rows, registers, a, panel, depth, ahead);
  }
  EACH_ROW(STORE_BEGUN_SUMS)
}

/// The recurrent product of a diagonal weight_hh.
INLINE void add_diagonal(int rows, REAL sums[ROWS][TILE_SUMS], const Pair *pair, const Tile *tile) {
  const Layer *layer = tile->layer;
  global const float *const *recurrent_input = tile->block->recurrent_input + tile->row;
  for (int v = 0; v < 2 && pair->count[v] > 0; ++v) {
    const int column = pair->column[v], count = pair->count[v], sum = pair->sum[v];
    for (int r = 0; r < rows; ++r) {
      sums[r][sum] = fma(load_lanes(layer->weights + column, count),
                         load_lanes(recurrent_input[r] + column % layer->H, count), sums[r][sum]);
    }
  }
}

/// Writes the input product to `gates`, for all steps to read.
INLINE void store_input_product(int rows, const REAL sums[ROWS][TILE_SUMS], const Pair *pair,
                                global float *const *gates) {
  for (int v = 0; v < 2 && pair->count[v] > 0; ++v) {
    for (int r = 0; r < rows; ++r) {
      store_lanes(sums[r][pair->sum[v]], gates[r] + pair->column[v], pair->count[v]);
    }
  }
}

/// The sums of a tile's gates: biases, input product, recurrent product. With an odd number of rows
/// those of the last one twice.
INLINE void tile_sums(int rows, REAL sums[ROWS][TILE_SUMS], const Tile *tile) {
  const Layer *layer = tile->layer;
  const Inputs *inputs = tile->inputs;
  const Step *step = tile->step;
  const RowBlock *block = tile->block;
  const int H = layer->H, C = inputs->C, row = tile->row, first = tile->first;
  const int called = call_rows(rows, step->alone);
  global float *const *gates = block->gates + row;
  global const float *const *recurrent_input = block->recurrent_input + row;
  // Of a block-diagonal weight_hh only some columns are not zero.
  global const float *shifted[ROWS];
  int end;
  const int from = block_range(first, min(TILE_UNITS, H - first), layer->block_units,
                               layer->block_states, H, &end);
  if (from && step->has_recurrent_input) {
    for (int r = 0; r < called; ++r) shifted[r] = recurrent_input[r] + from;
    recurrent_input = shifted;
  }
  for (int i = 0; i < SUM_PAIRS; ++i) {
    Pair pair;
    find_pair(&pair, i, first, H);
    const int is_begun = pair.has_input && !inputs->x;
    load_biases(&pair, tile);
    if (is_begun) load_input_product(called, sums, &pair, gates);
    const size_t panel = (size_t)(first / TILE_UNITS) * TILE_PANELS + pair.panel;
    const int multiplies_x = pair.has_input && inputs->x;
    const int multiplies_h = pair.has_recurrent && step->has_recurrent_input;
    PanelPair products = {block->x + row, recurrent_input, 0, 0, C, end - from, tile->way};
    if (multiplies_x) products.panel_x = inputs->weights_ih + panel * C * COLUMNS;
    if (!DIAGONAL && multiplies_h)
      products.panel_h = packed(layer->weights) + (panel * H + from) * COLUMNS;
    if (called == CALL_ROWS) add_products(CALL_ROWS, row, sums, &pair, is_begun, &products);
    else if (called == 4) add_products(4, row, sums, &pair, is_begun, &products);
    else if (called == 2) add_products(2, row, sums, &pair, is_begun, &products);
    else add_products(1, row, sums, &pair, is_begun, &products);
    if (DIAGONAL && multiplies_h) add_diagonal(rows, sums, &pair, tile);
    if (step->inputs_only && pair.has_input) store_input_product(rows, sums, &pair, gates);
  }
}
