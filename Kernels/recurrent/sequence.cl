// Strategy "sequence": one launch walks all steps; a work-item owns a slice of the batch.
//
// Where there are rows enough, a work-item owns a slice of the batch, and nothing is shared: no
// step waits for another slice. Each step multiplies the slice's states with packed weights that
// stay in the core's cache, and applies the cell as soon as the gates of a few units are summed.
// The product of the inputs may be done on the way, or by parts before the first step.
//
// Where there are few rows, a work-item owns a part of the units instead, for the whole batch, and
// waits after each step for the others. Both are said in shares.cl.
//
// With lengths a slice holds its sequences longest first, so that a step computes only those that
// have it, in any order of the batch.
//
//   pack_gates        weight_ih or weight_hh into panels in which the gates of the same units stand
//                     together.
//   sequence_forward  all steps in the layer's direction.
//
// The steps back are sequence_backward.cl.
//
// Layouts as in layer.cl, P = H. Global size: slices, or parts.

#include "gemm/panel.cl"
#include "recurrent/layer.cl"
#include "recurrent/shares.cl"

/// A tile covers so many vectors of units that their gates fill whole panels.
#define UNIT_VECTORS (GATES % 2 ? 2 : 1)
#define TILE_UNITS (UNIT_VECTORS * WIDTH)
#define TILE_VECTORS (UNIT_VECTORS * GATES)
#define TILE_PANELS (TILE_VECTORS / 2)
#define PLAIN_VECTORS (UNIT_VECTORS * PLAIN_GATES)
/// The gate of a tile's vector, and the vector of units that it is for. The gate that is
/// not plain comes last, in a panel of its own.
#define GATE_OF(v) ((v) < PLAIN_VECTORS ? (v) % PLAIN_GATES : PLAIN_GATES)
#define UNITS_OF(v) ((v) < PLAIN_VECTORS ? (v) / PLAIN_GATES : (v)-PLAIN_VECTORS)
/// The sums of a tile: those of its panels, where there is a gate that is not plain with the
/// state's part of it alone, and then the input's part.
#define PLAIN_PANELS (PLAIN_VECTORS / 2)
#define SUM_PANELS (TILE_PANELS + (PLAIN_GATES < GATES))

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

/// The inputs, where their product is done with that of the states: x [T, N, C], weight_ih as
/// pack_gates leaves it, and up to two biases; with x null `gates` begins as x W^T + b.
typedef struct {
  global const float *x, *bias, *bias2;
  global const Packed *weights;
  int C;
} Inputs;

/// The rows that a share takes through its tiles together: what of them is read again for each tile
/// stays in the first caches.
#define ROWS_TOGETHER 64

/// Such rows at one step: their sequences, and where what they read and write begins. Null stands
/// for zeros.
typedef struct {
  int sequence[ROWS_TOGETHER];
  global float *gates[ROWS_TOGETHER], *y[ROWS_TOGETHER];
  global const float *x[ROWS_TOGETHER], *factors[ROWS_TOGETHER];
  global const float *h[ROWS_TOGETHER], *c[ROWS_TOGETHER];
} Block;

/// The rows from `row` on at step t; with `is_before` those of all steps.
INLINE void find_block(Block *block, const Layer *layer, const Inputs *inputs, const Share *share,
                       int t, int row, int count, int is_before) {
  const int N = layer->N;
#pragma clang loop vectorize(disable)
  for (int r = 0; r < count; ++r) {
    const int n = is_before ? row + r : sequence_of(share, row + r);
    const size_t index = (size_t)t * N + n;
    block->sequence[r] = n;
    block->gates[r] = layer->gates + index * layer->gates_stride;
    block->x[r] = inputs->x ? inputs->x + index * inputs->C : 0;
    if (is_before) continue;
    block->y[r] = layer->y + y_place(layer, t, n);
    block->h[r] = own_hidden(layer, t, n);
    block->factors[r] = layer->mask ? own_factor(layer, t, n) : block->h[r];
    if (HAS_CELL_STATE) block->c[r] = own_cell(layer, t, n, layer->training);
  }
}

/// Copies the factors of a block's rows to where these are `stride` apart, for products to read.
INLINE void copy_factors(Block *block, int count, int width, global float *copies, int stride) {
  for (int r = 0; r < count; ++r) {
    global const float *factors = block->factors[r];
    global float *copy = copies + (size_t)r * stride;
    if (!factors) continue;
    for (int k = 0; k < width; k += WIDTH) {
      store_lanes(load_lanes(factors + k, width - k), copy + k, width - k);
    }
    block->factors[r] = copy;
  }
}

/// The sums of one row of a tile: the slots of its units.
#define TILE_SUMS (UNIT_VECTORS * SLOTS)

#define BEGIN_SUMS(r)                                                                              \
  if (r < rows) part[r][0] = begin[0], part[r][1] = begin[1];
#define GO_ON_WITH_SUMS(r)                                                                         \
  if (r < rows) part[r][0] = sums[r][left], part[r][1] = sums[r][right];
#define END_SUMS(r)                                                                                \
  if (r < rows) sums[r][left] = part[r][0], sums[r][right] = part[r][1];

/// sums[r][left] and [right] = begin, or with `is_begun` what they are, + x[r] times one panel +
/// h[r] times another; where a panel is null nothing. The sums are in registers from their
/// beginning to their end. `rows`, which begin at `row` of their block, is a constant wherever this
/// is called.
INLINE void
gate_sums(const int rows, int row, REAL sums[ROWS][TILE_SUMS], int left, int right, int is_begun,
          const REAL begin[2], global const float *const *x, global const Packed *panel_x, int C,
          global const float *const *h, global const Packed *panel_h, int K) {
  REAL part[ROWS][2];
  if (is_begun) {
    EACH_ROW(GO_ON_WITH_SUMS)
  } else {
    EACH_ROW(BEGIN_SUMS)
  }
  // One loop for both, which halves the code.
#pragma unroll 1
  for (int i = panel_x ? 0 : 1; i < (panel_h ? 2 : 1); ++i) {
    global const Packed *panel = i ? panel_h : panel_x;
    const int depth = i ? K : C;
    // The same panel of the next tile.
    const size_t distance = (size_t)TILE_PANELS * depth * COLUMNS;
    global const Packed *ahead = quarter_ahead(panel, distance, depth, row);
    if (rows == 1) row_product(part[0], i ? h[0] : x[0], panel, depth);
    else panel_product(rows, part, i ? h : x, panel, depth, ahead);
  }
  EACH_ROW(END_SUMS)
}

/// Asks for what a tile reads and stores after its products, and where gates are read or kept for
/// those of the next tile.
INLINE void fetch_around(int rows, const Layer *layer, const Block *block, int row, int t,
                         int first, int has_gates, int is_before) {
  const int H = layer->H;
#pragma clang loop vectorize(disable)
  for (int r = row; r < row + rows; ++r) {
    for (int slot = 0; slot < SLOTS && has_gates; ++slot) {
      fetch_second(block->gates[r] + (size_t)slot * H + first + TILE_UNITS);
    }
    if (is_before) continue;
    fetch(block->y[r] + first);
    EACH_MEMORY(k) {
      fetch(layer->cells + memory_place(layer, t, block->sequence[r]) + (size_t)k * H + first);
      if (block->c[r]) fetch(block->c[r] + (size_t)k * H + first);
    }
  }
}

/// Step t of a block's rows from `row` on, for the units of one tile; `has_factors` says whether
/// any of the states is not zero. With `is_before` the product of the inputs alone, into `gates`.
INLINE void forward_tile(int rows, const Layer *layer, const Inputs *inputs, const Block *block,
                         int row, int t, int first, int has_factors, int is_before) {
  const int N = layer->N, H = layer->H, C = inputs->C, tile = first / TILE_UNITS;
  global float *const *gates = block->gates + row;
  global const float *const *factors = block->factors + row;
  global const float *shifted[ROWS];
  int end;
  const int from = block_range(first, min(TILE_UNITS, H - first), layer->block_units,
                               layer->block_states, H, &end);
  if (from && has_factors) {
    for (int r = 0; r < rows; ++r) shifted[r] = factors[r] + from;
    factors = shifted;
  }
  fetch_around(rows, layer, block, row, t, first, layer->training || is_before || !inputs->x,
               is_before);
  REAL sums[ROWS][TILE_SUMS];
  for (int s = 0; s < SUM_PANELS; ++s) {
    const int has_x = s != PLAIN_PANELS, has_h = s <= PLAIN_PANELS && !is_before;
    const int is_begun = has_x && !inputs->x, panel = s > PLAIN_PANELS ? s - 1 : s;
    int columns[2], counts[2], places[2];
    REAL begin[2];
    for (int v = 0; v < 2; ++v) {
      const int gate = GATE_OF(2 * panel + v), u = UNITS_OF(2 * panel + v);
      const int column = gate * H + first + u * WIDTH, count = H - first - u * WIDTH;
      const int place = u * SLOTS + (has_x ? gate : RECURRENT_SLOT(gate));
      columns[v] = column, counts[v] = count, places[v] = place;
      begin[v] = (REAL)(0.0f);
      if (count > 0 && has_x && inputs->x) {
        if (inputs->bias) begin[v] = load_lanes(inputs->bias + column, count);
        if (inputs->bias2) begin[v] += load_lanes(inputs->bias2 + column, count);
      }
      if (count > 0 && has_h && layer->bias_hh) {
        begin[v] += load_lanes(layer->bias_hh + column, count);
      }
      for (int r = 0; r < rows && is_begun; ++r) {
        sums[r][place] = begin[v];
        if (count > 0) sums[r][place] += load_lanes(gates[r] + column, count);
      }
    }
    const size_t at = (size_t)tile * TILE_PANELS + panel;
    const int multiplies_x = has_x && inputs->x, multiplies_h = has_h && has_factors;
    global const Packed *panel_x = multiplies_x ? inputs->weights + at * C * COLUMNS : 0;
    global const Packed *panel_h =
        !DIAGONAL && multiplies_h ? packed(layer->weights) + (at * H + from) * COLUMNS : 0;
#define GATE_SUMS(rows)                                                                            \
  gate_sums(rows, row, sums, places[0], places[1], is_begun, begin, block->x + row, panel_x, C,    \
            factors, panel_h, end - from)
    if (rows == CALL_ROWS) GATE_SUMS(CALL_ROWS);
    else if (rows == 4) GATE_SUMS(4);
    else if (rows == 2) GATE_SUMS(2);
    else GATE_SUMS(1);
    for (int v = 0; v < 2 && (is_before || DIAGONAL); ++v) {
      if (counts[v] <= 0) break;
      for (int r = 0; r < rows; ++r) {
        if (DIAGONAL && multiplies_h) {
          sums[r][places[v]] =
              fma(load_lanes(layer->weights + columns[v], counts[v]),
                  load_lanes(factors[r] + columns[v] % H, counts[v]), sums[r][places[v]]);
        }
        if (is_before && has_x) store_lanes(sums[r][places[v]], gates[r] + columns[v], counts[v]);
      }
    }
  }
  for (int u = 0; !is_before && u < UNIT_VECTORS; ++u) {
    const int unit = first + u * WIDTH, count = H - unit;
    if (count <= 0) break;
    Peepholes p;
    load_peepholes(&p, layer, unit, count);
    // The gates of all rows before the output of any: each result waits for a long chain of others,
    // and only rows do not wait for each other.
    REAL c[ROWS][MEMORY];
    for (int r = 0; r < rows; ++r) {
      const int n = block->sequence[row + r];
      const size_t index = ((size_t)t * N + n) * H + unit, place = memory_place(layer, t, n) + unit;
      load_memory(c[r], HAS_CELL_STATE ? block->c[row + r] : 0, H, unit, count);
      REAL before[MEMORY];
      EACH_MEMORY(k) before[k] = c[r][k];
      cell_gates(&sums[r][u * SLOTS], c[r], p);
      EACH_MEMORY(k) {
        REAL kept = c[r][k];
        if (ZONEOUT) {
          if (layer->fresh) store_lanes(kept, layer->fresh + place + (size_t)k * H, count);
          kept = kept_state(kept_cell(layer, index, count), before[k], kept);
        }
        store_lanes(kept, layer->cells + place + (size_t)k * H, count);
      }
    }
    for (int r = 0; r < rows; ++r) {
      const int n = block->sequence[row + r];
      const size_t index = ((size_t)t * N + n) * H + unit;
      global const float *h_before = block->h[row + r];
      REAL h = h_before ? load_lanes(h_before + unit, count) : (REAL)(0.0f);
      h = kept_state(kept_hidden(layer, index, count), h,
                     cell_output(&sums[r][u * SLOTS], h, c[r]));
      if (layer->training) {
        for (int slot = 0; slot < SLOTS; ++slot) {
          store_lanes(sums[r][u * SLOTS + slot], gates[r] + (size_t)slot * H + unit, count);
        }
      }
      store_hidden(layer, h, block->y[row + r], t, n, unit, count);
    }
  }
}

/// What a work-item does of sequence_forward. It has copies of its own of what it is given, whose
/// parts may stand in registers.
OUTLINE void walk_forward(const Layer *given_layer, const Inputs *given_inputs,
                          const Share *given_share, int inputs_before, global float *copies,
                          int copy_stride, global float *h_n, global float *c_n) {
  const Layer layer = *given_layer;
  Inputs inputs = *given_inputs;
  Share share = *given_share;
  const int T = layer.T, step_base = share.step;
  int last = share.first;
  for (int s = inputs_before ? -1 : 0; s < T; ++s) {
    const int is_before = s < 0, t = is_before ? 0 : layer.reverse ? T - 1 - s : s;
    const int has_factors =
        RECURRENT && !is_before && (s || (layer.mask ? layer.masked_0 : layer.h_0));
    last = is_before ? T * layer.N : active_end(&share, &layer, t, s ? last : share.first);
    while (take_tiles(&share, (int)((uint)step_base + s + inputs_before + 1))) {
      for (int begin = share.first; begin < last; begin += ROWS_TOGETHER) {
        const int count = min(last - begin, ROWS_TOGETHER);
        Block block;
        find_block(&block, &layer, &inputs, &share, t, begin, count, is_before);
        if (copies && has_factors) copy_factors(&block, count, layer.H, copies, copy_stride);
        for (int tile = share.first_tile; tile < share.end_tile; ++tile) {
          for (int row = 0; row < count;) {
            const int rows = next_rows(count - row);
            forward_tile(rows, &layer, &inputs, &block, row, t, tile * TILE_UNITS, has_factors,
                         is_before);
            row += rows;
          }
        }
      }
    }
    if (is_before) inputs.x = 0;
  }
  if (share.sync && share.id > 0) return;
  for (int row = share.first; row < share.end; ++row) {
    finish_sequence(&layer, sequence_of(&share, row), h_n, c_n);
  }
}

/// All steps forward. `gates` receives what the backward pass needs where `training` is 1; where x
/// is null it holds x W^T + b in its first GATES slots. With `inputs_before` that is computed
/// before the first step, else with each. `weights` is packed by pack_gates, or the diagonal
/// itself. `copies` is null, or for each work-item the factors of as many rows as it takes
/// together, `copy_stride` apart: the states of a step, where those of y lie badly for the caches.
/// A reverse layer with lengths needs h_0.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
sequence_forward(LAYER_PARAMETERS, global float *h_n, global float *c_n, global const float *x,
                 global const Packed *weights_ih, global const float *bias_ih,
                 global const float *bias_ih2, int C, int inputs_before, global float *copies,
                 int copy_stride, global const int *order, volatile global int *sync, int step_base,
                 int polls) {
  const Layer layer = LAYER;
  const Inputs inputs = {x, bias_ih, bias_ih2, weights_ih, C};
  Share share;
  find_share(&share, TILE_UNITS, N, H, order, sync, step_base, polls);
  if (copies) copies += (size_t)get_global_id(0) * min(N, ROWS_TOGETHER) * copy_stride;
  walk_forward(&layer, &inputs, &share, inputs_before, copies, copy_stride, h_n, c_n);
}
