// Strategy "sequence": one launch computes all steps, for CPUs.
//
// There is a work-item for each core, not for each hidden unit. It computes all steps of a slice of
// the batch, or where the batch has few sequences those of a split of the hidden units, as
// slices.cl says. Its loops, from outside in:
//
//   forward_steps   over the steps; with splits it waits after each one for the others
//   forward_step    over blocks of up to ROWS_TOGETHER sequences; for each over its tiles of
//                   TILE_UNITS hidden units; for each over as many rows as fit the registers
//   forward_tile    tile_sums: the gates' sums of these rows, from biases, the input product x W^T
//                   and the recurrent product h' R^T; then the cell update, at once
//
// W is weight_ih, R weight_hh, h' the hidden state of the step before.
//
// A row is a sequence that has this step, in the order of the slice: sequence_of(slice, row). The
// weights of a tile come from an outer cache once for each block, and serve its other rows from the
// first ones; those of all tiles stay in the core's caches from step to step where they fit. The
// input products of all steps can also be made before the first; `gates` then holds them.
//
// No sum depends on the slices or splits; nor on when the inputs are multiplied, as long as the
// host has them multiplied in the steps only where a step has 8 sequences or more: fewer rows may
// be summed in another order (multiplies_alone).
//
//   sequence_forward  all steps in the layer's direction.
//
// The products of a tile are sequence_products.cl, the steps backward sequence_backward.cl. REAL, a
// vector of WIDTH floats, and load_lanes, store_lanes and fetch are of vector.cl; ROWS and
// next_rows of panel.cl; cell_gates and cell_output of the cell, which comes before this file
// (lstm.cl says what they do); memories are the states beside h, such as c.
//
// Layouts as in layer.cl, P = H. Global size: slices, or splits.

#include "recurrent/sequence_products.cl"
#include "recurrent/slices.cl"

/// The `count` rows from `row` on: their sequences, and where what they read and write begins. The
/// last one comes twice.
///
/// With `inputs_only` a row is a step of a sequence: the rows of all steps follow each other like
/// those of one long step.
INLINE void find_block(RowBlock *block, const Layer *layer, const Inputs *inputs,
                       const Slice *slice, const Step *step, int row, int count) {
  const int N = layer->N, each = slice->end - slice->first;
#pragma clang loop vectorize(disable)
  for (int r = 0; r <= count; ++r) {
    int own = row + min(r, count - 1), t = step->t;
    if (step->inputs_only) t = (own - slice->first) / each, own -= t * each;
    const int n = sequence_of(slice, own);
    const size_t index = (size_t)t * N + n;
    block->sequence[r] = n;
    block->gates[r] = layer->gates + index * layer->gates_stride;
    block->x[r] = inputs->x ? inputs->x + index * inputs->C : 0;
    if (step->inputs_only) continue;
    block->y[r] = layer->y + y_row_offset(layer, t, n);
    block->h[r] = own_hidden(layer, t, n);
    block->recurrent_input[r] = layer->mask ? own_recurrent_input(layer, t, n) : block->h[r];
    if (HAS_MEMORY) block->c[r] = own_memory(layer, t, n, layer->training);
  }
}

/// Copies what the recurrent products of a block read to rows that are `stride` apart.
INLINE void
copy_recurrent_inputs(RowBlock *block, int count, int width, global float *copies, int stride) {
  for (int r = 0; r < count; ++r) {
    global const float *source = block->recurrent_input[r];
    global float *copy = copies + (size_t)r * stride;
    if (!source) continue;
    for (int k = 0; k < width; k += WIDTH) {
      store_lanes(load_lanes(source + k, width - k), copy + k, width - k);
    }
    block->recurrent_input[r] = copy;
  }
}

/// The first half of the cell update of WIDTH units from `unit` on: gates and the states beside h.
/// `c` receives the states that the output reads; `cells` those that the next step reads, which
/// with zoneout are partly the old ones.
INLINE void update_memories(int rows, REAL sums[ROWS][TILE_SUMS], REAL c[ROWS][MEMORY],
                            const Tile *tile, int unit) {
  const Layer *layer = tile->layer;
  const int H = layer->H, t = tile->step->t, count = H - unit;
  const int first_slot = (unit - tile->first) / WIDTH * SLOTS;
  Peepholes p;
  load_peepholes(&p, layer, unit, count);
  for (int r = 0; r < rows; ++r) {
    const int n = tile->block->sequence[tile->row + r];
    const size_t index = ((size_t)t * layer->N + n) * H + unit;
    const size_t cell = memory_offset(layer, t, n) + unit;
    load_memory(c[r], HAS_MEMORY ? tile->block->c[tile->row + r] : 0, H, unit, count);
    REAL before[MEMORY];
    EACH_MEMORY(k) before[k] = c[r][k];
    cell_gates(&sums[r][first_slot], c[r], p);
    EACH_MEMORY(k) {
      const size_t offset = cell + (size_t)k * H;
      REAL after = c[r][k];
      if (ZONEOUT) {
        if (layer->cells_before_zoneout) {
          store_lanes(after, layer->cells_before_zoneout + offset, count);
        }
        after = kept_state(kept_cell(layer, index, count), before[k], after);
      }
      store_lanes(after, layer->cells + offset, count);
    }
  }
}

/// The second half: h, and in training what the backward pass needs.
INLINE void update_hidden(int rows, REAL sums[ROWS][TILE_SUMS], REAL c[ROWS][MEMORY],
                          const Tile *tile, int unit) {
  const Layer *layer = tile->layer;
  const int H = layer->H, t = tile->step->t, count = H - unit;
  const int first_slot = (unit - tile->first) / WIDTH * SLOTS;
  // Two rows in a turn of the loop. (Inference T50 N32 C20 H128 on one core of a Zen 5: GRU 0.853
  // to 0.841 ms, RNN 0.289 to 0.287.)
#pragma unroll 2
  for (int r = 0; r < rows; ++r) {
    const int n = tile->block->sequence[tile->row + r];
    const size_t index = ((size_t)t * layer->N + n) * H + unit;
    global const float *h_before = tile->block->h[tile->row + r];
    global float *gates = tile->block->gates[tile->row + r] + unit;
    REAL h = h_before ? load_lanes(h_before + unit, count) : (REAL)(0.0f);
    h = kept_state(kept_hidden(layer, index, count), h, cell_output(&sums[r][first_slot], h, c[r]));
    for (int slot = 0; slot < SLOTS && layer->training; ++slot) {
      store_lanes(sums[r][first_slot + slot], gates + (size_t)slot * H, count);
    }
    store_hidden(layer, h, tile->block->y[tile->row + r], t, n, unit, count);
  }
}

/// Asks for memory that the cell update of a tile uses, so that it comes during the products.
///
/// The line at the first unit of y and of the memories, into the first cache; and into the second,
/// where gates are read or kept, the line of each slot in the tile after this one.
INLINE void fetch_tile_rows(int rows, const Tile *tile) {
  const Layer *layer = tile->layer;
  const RowBlock *block = tile->block;
  const int H = layer->H, first = tile->first, inputs_only = tile->step->inputs_only;
  const int has_gates = layer->training || inputs_only || !tile->inputs->x;
#pragma clang loop vectorize(disable)
  for (int r = tile->row; r < tile->row + rows; ++r) {
    for (int slot = 0; slot < SLOTS && has_gates; ++slot) {
      fetch_second(block->gates[r] + (size_t)slot * H + first + tile->way * TILE_UNITS);
    }
    if (inputs_only) continue;
    fetch(block->y[r] + first);
    EACH_MEMORY(k) {
      const size_t offset = memory_offset(layer, tile->step->t, block->sequence[r]) + first;
      fetch(layer->cells + offset + (size_t)k * H);
      if (block->c[r]) fetch(block->c[r] + (size_t)k * H + first);
    }
  }
}

/// One step of a tile; or with `inputs_only` the input product alone, into `gates`.
INLINE void forward_tile(int rows, const Tile *tile) {
  if (tile->step->fetches) fetch_tile_rows(rows, tile);
  REAL sums[ROWS][TILE_SUMS];
  tile_sums(rows, sums, tile);
  for (int u = 0; u < UNIT_VECTORS && !tile->step->inputs_only; ++u) {
    const int unit = tile->first + u * WIDTH;
    if (unit >= tile->layer->H) break;
    // The first half for all rows, then the second: within a row each result waits for the one
    // before, a long chain; different rows fill the processor meanwhile.
    REAL c[ROWS][MEMORY];
    update_memories(rows, sums, c, tile, unit);
    update_hidden(rows, sums, c, tile, unit);
  }
}

/// Memory for what the recurrent products of a block read, rows that are `stride` apart. Where rows
/// of y are a multiple of 2048 bytes apart, they fall into the same sets of the cache and push each
/// other out; copies do not. `rows` is null where y is read as it is.
typedef struct {
  global float *rows;
  int stride;
} Copies;

/// The tiles of a work-item at one step, for the rows up to `end`.
INLINE void forward_step(const Layer *layer, const Inputs *inputs, const Slice *slice,
                         const Step *step, int end, Copies copies) {
  const int blocks = (end - slice->first + ROWS_TOGETHER - 1) / ROWS_TOGETHER;
  const int tiles = slice->end_tile - slice->first_tile;
  for (int begin = slice->first, time = step->t * blocks; begin < end; begin += ROWS_TOGETHER) {
    const int count = min(end - begin, ROWS_TOGETHER), way = way_of(time++);
    RowBlock block;
    find_block(&block, layer, inputs, slice, step, begin, count);
    if (copies.rows && step->has_recurrent_input) {
      copy_recurrent_inputs(&block, count, layer->H, copies.rows, copies.stride);
    }
    for (int i = 0; i < tiles; ++i) {
      const int first = tile_on(way, slice->first_tile, slice->end_tile, i) * TILE_UNITS;
      for (int row = 0; row < count;) {
        const int rows = next_rows(count - row, step->alone);
        const Tile tile = {layer, inputs, step, &block, row, first, way};
        forward_tile(rows, &tile);
        row += rows;
      }
    }
  }
}

/// What a work-item does of sequence_forward. It copies its arguments, so that compilers can keep
/// their members in registers. Step s of the loop is the s-th that is computed; -1 multiplies the
/// inputs of all steps.
OUTLINE void
forward_steps(const Layer *given_layer, const Inputs *given_inputs, const Slice *given_slice,
              int inputs_before, int fetches, Copies copies, global float *h_n, global float *c_n) {
  const Layer layer = *given_layer;
  Inputs inputs = *given_inputs;
  Slice slice = *given_slice;
  const int T = layer.T, step_base = slice.step;
  int end = slice.first;
  for (int s = inputs_before ? -1 : 0; s < T; ++s) {
    const int inputs_only = s < 0, t = inputs_only ? 0 : layer.reverse ? T - 1 - s : s;
    const int has_initial = (layer.mask ? layer.masked_0 : layer.h_0) != 0;
    const Step step = {.t = t,
                       .alone = inputs_only ? multiplies_alone(T * layer.N, inputs.C)
                                            : multiplies_alone(layer.N, layer.H),
                       .has_recurrent_input = RECURRENT && !inputs_only && (s || has_initial),
                       .inputs_only = inputs_only,
                       .fetches = fetches};
    if (inputs_only) end = slice.first + T * (slice.end - slice.first);
    else end = active_end(&slice, &layer, t, s ? end : slice.first);
    // A slice comes here once. A split computes its own tiles, and then those of splits that nobody
    // has claimed; the loop ends when all are done, so that the next step can read their h.
    while (claim_tiles(&slice, (int)((uint)step_base + s + inputs_before + 1))) {
      forward_step(&layer, &inputs, &slice, &step, end, copies);
    }
    if (inputs_only) inputs.x = 0;
  }
  // With splits every tile is done now, and one work-item finishes all sequences.
  if (slice.sync && slice.id > 0) return;
  for (int row = slice.first; row < slice.end; ++row) {
    finish_sequence(&layer, sequence_of(&slice, row), h_n, c_n);
  }
}

/// All steps forward. `gates` receives what the backward pass needs where `training` is 1; where x
/// is null it holds x W^T + b in its first GATES slots. With `inputs_before` all inputs are
/// multiplied before the first step, else those of each step in that step. `weights` is packed by
/// pack_gates, or the diagonal itself. `copies` is null, or has room for the rows that each
/// work-item takes together, `copy_stride` apart. With `fetches` the memory of a tile's cell update
/// is asked for during its products. A reverse layer with lengths needs h_0: each
/// sequence begins with it at a step of its own, while has_recurrent_input is the same for all.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
sequence_forward(LAYER_PARAMETERS, global float *h_n, global float *c_n, global const float *x,
                 global const Packed *weights_ih, global const float *bias_ih,
                 global const float *bias_ih2, int C, int inputs_before, global float *copies,
                 int copy_stride, global const int *order, volatile global int *sync, int step_base,
                 int polls, int fetches) {
  const Layer layer = LAYER;
  const Inputs inputs = {x, bias_ih, bias_ih2, weights_ih, C};
  Slice slice;
  find_slice(&slice, TILE_UNITS, N, H, order, sync, step_base, polls);
  if (copies) copies += (size_t)get_global_id(0) * min(N, ROWS_TOGETHER) * copy_stride;
  const Copies own_copies = {copies, copy_stride};
  forward_steps(&layer, &inputs, &slice, inputs_before, fetches, own_copies, h_n, c_n);
}
