// One recurrent layer: the arguments of every kernel that computes its steps, and what happens to a
// state between the cell and the next step.
//
// Layouts, with P the width of a hidden state (H without a projection) and M the MEMORIES of the
// cell, its states beside h (c of an LSTM; c, n and m of an sLSTM):
//
//   gates                             [T, N, SLOTS, H]; from one row of SLOTS H to the next there
//                                     are gates_stride floats
//   cells, cells_before_zoneout       [T, N, M, H]
//   keep_c                            [T, N, H]
//   masked, keep_h                    [T, N, P]
//   mask, h_0, masked_0               [N, P]
//   c_0                               [N, M, H]
//   y and its gradient                [T, N, P] from y_offset on, rows of y_stride floats: two
//                                     directions write side by side
//
// Arguments; a pointer is null where the layer or the call has no such thing:
//
//   weights                           weight_hh as the strategy packs it.
//   bias_hh                           where it is not part of what `gates` begins as.
//   cells                             the memories after every step; with `training` 0 only the
//                                     newest of each sequence, [N, M, H].
//   cells_before_zoneout              the same as the cell made them, before zoneout kept old
//                                     values; null without zoneout or `training`.
//   mask, masked_0, masked            recurrent dropout: its factors, and h_0 and every h times
//                                     them, which is what the recurrent products read.
//   keep_h, keep_c                    zoneout: 1 where a unit keeps its state; null means
//                                     `zoneout_h` and `zoneout_c` everywhere, the expectation.
//   zoneout_h, zoneout_c              the probabilities.
//   block_units, block_states         units and states of a block of weight_hh; H and P where it is
//                                     one matrix.
//   training                          1 where a backward pass follows.
//   reverse                           1 for a layer that begins with the last step.
//
// Parameters:
//   ZONEOUT                 1: the state may be kept (Krueger et al. 2017).
//   DIAGONAL                1: weight_hh is [GATES, H], a factor for each unit.
//   RECURRENT               0: there is no weight_hh, and no recurrent product.
//
// A cell comes before it.

#include "common/activation.cl"
#include "recurrent/states.cl"

#ifndef ZONEOUT
#define ZONEOUT 0
#endif
#ifndef DIAGONAL
#define DIAGONAL 0
#endif
#ifndef RECURRENT
#define RECURRENT 1
#endif
#ifndef NORMALIZES_MEMORY
#define NORMALIZES_MEMORY 0
#endif

/// The extent of an array of the states beside h, of which there may be none.
#define MEMORY (MEMORIES ? MEMORIES : 1)
#define EACH_MEMORY(k) for (int k = 0; k < MEMORIES; ++k)
#define HAS_MEMORY (MEMORIES > 0)
/// Whether weight_hh is a matrix.
#define HAS_MATRIX (RECURRENT && !DIAGONAL)

/// The gates whose recurrent product has the slot of the gate; their rows of weight_hh come first.
#define PLAIN_GATES (RECURRENT_SLOT(GATES - 1) == GATES - 1 ? GATES : GATES - 1)

#define LAYER_PARAMETERS                                                                           \
  global const float *weights, global const float *bias_hh, global const float *peephole_i,        \
      global const float *peephole_f, global const float *peephole_o, global const float *h_0,     \
      global const float *c_0, global const int *lengths, global float *gates,                     \
      global float *cells, global float *cells_before_zoneout, global float *y,                    \
      global const float *mask, global const float *masked_0, global float *masked,                \
      global const float *keep_h, global const float *keep_c, float zoneout_h, float zoneout_c,    \
      int T, int N, int H, int P, int gates_stride, int y_stride, int y_offset, int block_units,   \
      int block_states, int training, int reverse

typedef struct {
  global const float *weights, *bias_hh, *peepholes[3], *h_0, *c_0;
  global const int *lengths;
  global float *gates, *cells, *cells_before_zoneout, *y;
  global const float *mask, *masked_0;
  global float *masked;
  global const float *keep_h, *keep_c;
  float zoneout_h, zoneout_c;
  int T, N, H, P, gates_stride, y_stride, block_units, block_states, training, reverse;
} Layer;

/// The Layer of a kernel with LAYER_PARAMETERS.
#define LAYER                                                                                      \
  {                                                                                                \
    weights, bias_hh, {peephole_i, peephole_f, peephole_o}, h_0, c_0, lengths, gates, cells,       \
        cells_before_zoneout, y + y_offset, mask, masked_0, masked, keep_h, keep_c, zoneout_h,     \
        zoneout_c, T, N, H, P, gates_stride, y_stride, block_units, block_states, training,        \
        reverse                                                                                    \
  }

/// One step of the cell: `slots` holds sums of products and receives what the backward pass needs;
/// `c` holds the states beside h before and receives those after. Returns h.
INLINE REAL cell_forward(REAL slots[SLOTS], REAL h_before, REAL *c, Peepholes p) {
  cell_gates(slots, c, p);
  return cell_output(slots, h_before, c);
}

/// The peepholes of `count` units from `unit` on.
INLINE void load_peepholes(Peepholes *p, const Layer *layer, int unit, int count) {
  p->input = p->forget = p->output = (REAL)(0.0f);
  if (layer->peepholes[0]) p->input = load_lanes(layer->peepholes[0] + unit, count);
  if (layer->peepholes[1]) p->forget = load_lanes(layer->peepholes[1] + unit, count);
  if (layer->peepholes[2]) p->output = load_lanes(layer->peepholes[2] + unit, count);
}

/// The steps that the layer computes first and last; of a reverse layer T - 1 and 0.
INLINE int first_step(const Layer *layer) { return layer->reverse ? layer->T - 1 : 0; }
INLINE int last_step(const Layer *layer) { return layer->reverse ? 0 : layer->T - 1; }

/// The offset of step t of sequence n in `gates`.
INLINE size_t gates_row_offset(const Layer *layer, int t, int n) {
  return ((size_t)t * layer->N + n) * layer->gates_stride;
}

/// The offset of step t of sequence n in y, and in its gradients.
INLINE size_t y_row_offset(const Layer *layer, int t, int n) {
  return ((size_t)t * layer->N + n) * layer->y_stride;
}

/// Row n of the states before step t, with rows n + 1 and so on behind it, each `stride` further
/// (in `initial` `width`).
///
/// For strategies that compute every sequence at every step, and let one keep its state where it
/// has no step. With `kept` 0 `states` holds only the last step. Null means zeros.
INLINE global const float *
running_state(global const float *states, int stride, global const float *initial, int width,
              const Layer *layer, int t, int n, int kept) {
  if (t == first_step(layer)) return initial ? initial + (size_t)n * width : 0;
  const int before = kept ? (layer->reverse ? t + 1 : t - 1) : 0;
  return states + ((size_t)before * layer->N + n) * stride;
}

/// The state of sequence n before its own step t; in a reverse layer its first one is lengths[n]
/// - 1.
///
/// For strategies that skip the steps that a sequence does not have, and for the way back of all.
/// The rows of `initial` are `width` apart. With `kept` 0 `states` holds only the last step. Null
/// means zeros.
INLINE global const float *
own_state(global const float *states, int stride, global const float *initial, int width,
          const Layer *layer, int t, int n, int kept) {
  if (kept || is_first(layer->lengths, t, n, layer->T, layer->reverse)) {
    const States all = {states, initial,  layer->lengths, stride,
                        width,  layer->T, layer->N,       layer->reverse};
    return state_before(&all, t, n);
  }
  return states + (size_t)n * stride;
}

/// The hidden state of sequence n before its own step t, and the input of the recurrent product.
INLINE global const float *own_hidden(const Layer *layer, int t, int n) {
  return own_state(layer->y, layer->y_stride, layer->h_0, layer->P, layer, t, n, 1);
}
INLINE global const float *own_recurrent_input(const Layer *layer, int t, int n) {
  if (!layer->mask) return own_hidden(layer, t, n);
  return own_state(layer->masked, layer->P, layer->masked_0, layer->P, layer, t, n, 1);
}

/// The rows from n on of the hidden states before step t.
INLINE global const float *hidden_before(const Layer *layer, int t, int n) {
  return running_state(layer->y, layer->y_stride, layer->h_0, layer->P, layer, t, n, 1);
}

/// The same rows as the recurrent product reads them, and how far apart they are.
INLINE global const float *recurrent_input_before(const Layer *layer, int t, int n) {
  if (!layer->mask) return hidden_before(layer, t, n);
  return running_state(layer->masked, layer->P, layer->masked_0, layer->P, layer, t, n, 1);
}
INLINE int recurrent_input_stride(const Layer *layer, int t) {
  return layer->mask || t == first_step(layer) ? layer->P : layer->y_stride;
}

/// The rows from n on of the states beside h before step t.
INLINE global const float *memory_before(const Layer *layer, int t, int n) {
  const int width = MEMORIES * layer->H;
  return running_state(layer->cells, width, layer->c_0, width, layer, t, n, layer->training);
}

/// Those of sequence n before its own step t.
INLINE global const float *own_memory(const Layer *layer, int t, int n, int kept) {
  const int width = MEMORIES * layer->H;
  return own_state(layer->cells, width, layer->c_0, width, layer, t, n, kept);
}

/// The offset of the states beside h of step t of sequence n; with `training` 0 there is one step.
INLINE size_t memory_offset(const Layer *layer, int t, int n) {
  return ((size_t)(layer->training ? t : 0) * layer->N + n) * MEMORIES * layer->H;
}

/// The states beside h of `count` units from `unit` on; zeros where the row is null.
INLINE void load_memory(REAL *c, global const float *row, int H, int unit, int count) {
  c[0] = (REAL)(0.0f);
  EACH_MEMORY(k)
  c[k] = row ? load_lanes(row + (size_t)k * H + unit, count) : (REAL)(0.0f);
}
INLINE void store_memory(const REAL *c, global float *row, int H, int unit, int count) {
  EACH_MEMORY(k) store_lanes(c[k], row + (size_t)k * H + unit, count);
}

/// How much of its old state a unit keeps: from 0 to 1.
INLINE REAL kept_hidden(const Layer *layer, size_t index, int count) {
  if (!ZONEOUT) return (REAL)(0.0f);
  return layer->keep_h ? load_lanes(layer->keep_h + index, count) : (REAL)(layer->zoneout_h);
}
INLINE REAL kept_cell(const Layer *layer, size_t index, int count) {
  if (!ZONEOUT) return (REAL)(0.0f);
  return layer->keep_c ? load_lanes(layer->keep_c + index, count) : (REAL)(layer->zoneout_c);
}

/// The state of a unit that keeps so much of the one before.
INLINE REAL kept_state(REAL kept, REAL before, REAL after) {
  return ZONEOUT ? fma(kept, before, ((REAL)(1.0f) - kept) * after) : after;
}

/// Writes the hidden states of `count` units from `unit` on to their row of y, and to `masked` what
/// the next recurrent product reads.
INLINE void
store_hidden(const Layer *layer, REAL h, global float *y, int t, int n, int unit, int count) {
  store_lanes(h, y + unit, count);
  if (!layer->mask) return;
  const size_t state = (size_t)n * layer->P + unit;
  store_lanes(h * load_lanes(layer->mask + state, count),
              layer->masked + (size_t)t * layer->N * layer->P + state, count);
}

/// A block-diagonal matrix has blocks of `from` rows and `to` columns. The `count` rows from
/// `first` on overlap the columns from the result on up to `end`, at most `length`.
INLINE int block_range(int first, int count, int from, int to, int length, int *end) {
  *end = min(length, ((first + count - 1) / from + 1) * to);
  return first / from * to;
}

/// Copies the last states of a sequence to h_n and c_n, where wanted, and clears past its length
/// what a later product may read.
INLINE void finish_sequence(const Layer *layer, int n, global float *h_n, global float *c_n) {
  const int T = layer->T, N = layer->N, H = layer->H, P = layer->P;
  const int steps = layer->lengths ? min(layer->lengths[n], T) : T;
  const int last = steps && !layer->reverse ? steps - 1 : 0;
  if (h_n) {
    global const float *h = layer->h_0 ? layer->h_0 + (size_t)n * P : 0;
    if (steps) h = layer->y + y_row_offset(layer, last, n);
    for (int unit = 0; unit < P; ++unit) h_n[(size_t)n * P + unit] = h ? h[unit] : 0.0f;
  }
  if (HAS_MEMORY && c_n) {
    const int width = MEMORIES * H;
    global const float *c = layer->c_0 ? layer->c_0 + (size_t)n * width : 0;
    if (steps) c = layer->cells + memory_offset(layer, last, n);
    for (int i = 0; i < width; ++i) c_n[(size_t)n * width + i] = c ? c[i] : 0.0f;
  }
  for (int t = steps; t < T; ++t) {
    for (int unit = 0; unit < P; ++unit) {
      layer->y[y_row_offset(layer, t, n) + unit] = 0.0f;
      if (layer->mask) layer->masked[((size_t)t * N + n) * P + unit] = 0.0f;
    }
  }
}
