// The strategy "staged": a step in stages, for layers whose units wait for each other within a
// step: layer normalisation, a projection, a reset gate before the product. Between two products a
// stage is done for one sequence by the work-items of a group.
//
// No barrier depends on a sequence's length: the padding is normalised like any row.
//
// A step forward, with h~ for h before zoneout; the products on the left come from the two files
// that include this one, and stay in memory:
//
//   sums = recurrent_input weight_hh^T   stage_gates      the gates, c and h~; with the reset gate
//                                                         before the product only r, z and `reset`
//   sums_n = reset weight_hh_n^T         stage_new_gate   h~ of that GRU
//   y = hidden weight_hr^T                                h~ of a projection
//                                        stage_finish     h, and what the next step reads
//
// The steps backward are staged_backward.cl.
//
// Arguments besides those of layer.cl; with `training` 0 the arrays hold one step:
//
//   weights_n, weights_p      the rows of weight_hh for the new gate, where they have a product of
//                             their own, and weight_hr, as the strategy packs them
//   gain_hh, gain_c, bias_c   of the normalisation
//   sums                      [T, N, GATES, H]: the recurrent products, normalised where the layer
//                             is; then rstd [T, N, 2] is 1 / standard deviation
//   normalized_c, rstd_c      [T, N, H] and [T, N]: the same of c
//   reset                     [T, N, H]: r times the recurrent input
//   hidden                    [T, N, H]: what is projected
//
// Parameters:
//   LAYER_NORM    1: products and c are normalised.
//   PROJECTION    1: h is hidden weight_hr^T, P < H.

#include "common/norm.cl"
#include "recurrent/layer.cl"

#ifndef LAYER_NORM
#define LAYER_NORM 0
#endif
#ifndef PROJECTION
#define PROJECTION 0
#endif
#ifndef RESET_BEFORE
#define RESET_BEFORE 0
#endif

/// The gates of the first product.
#define FIRST_GATES (RESET_BEFORE ? GATES - 1 : GATES)
/// Whether c is normalised on the path to h.
#define NORM_CELL (LAYER_NORM && NORMALIZES_MEMORY)

#define STAGED_PARAMETERS                                                                          \
  LAYER_PARAMETERS, global const float *weights_n, global const float *weights_p,                  \
      global const float *gain_hh, global const float *gain_c, global const float *bias_c,         \
      global float *sums, global float *rstd, global float *normalized_c, global float *rstd_c,    \
      global float *reset, global float *hidden

typedef struct {
  Layer layer;
  global const float *weights_n, *weights_p, *gain_hh, *gain_c, *bias_c;
  global float *sums, *rstd, *normalized_c, *rstd_c, *reset, *hidden;
} Staged;

/// The Staged of a kernel with STAGED_PARAMETERS.
#define STAGED                                                                                     \
  {                                                                                                \
    LAYER, weights_n, weights_p, gain_hh, gain_c, bias_c, sums, rstd, normalized_c, rstd_c, reset, \
        hidden                                                                                     \
  }

/// Row n of step t, and of an array that with `training` 0 holds one step.
INLINE size_t row_at(const Layer *layer, int t, int n) { return (size_t)t * layer->N + n; }
INLINE size_t kept_row(const Layer *layer, int t, int n) {
  return (size_t)(layer->training ? t : 0) * layer->N + n;
}

/// `count` lanes of a row that may be null.
INLINE REAL load_row(global const float *row, int unit, int count) {
  return row ? load_lanes(row + unit, count) : (REAL)(0.0f);
}

/// The slots of `count` units from `unit` on, from their row of `gates` or to it.
INLINE void load_slots(REAL *slots, global const float *row, int number, int H, int unit) {
  for (int i = 0; i < number; ++i) slots[i] = load_lanes(row + (size_t)i * H + unit, H - unit);
}
INLINE void store_slots(const REAL *slots, global float *row, int H, int unit) {
  for (int i = 0; i < SLOTS; ++i) store_lanes(slots[i], row + (size_t)i * H + unit, H - unit);
}

/// The recurrent product of a gate with the bias, normalised where the layer is.
INLINE REAL recurrent_sum(const Staged *staged, global const float *sums, int gate, int unit) {
  const Layer *layer = &staged->layer;
  const int i = gate * layer->H + unit, count = layer->H - unit;
  const REAL bias = layer->bias_hh ? load_lanes(layer->bias_hh + i, count) : (REAL)(0.0f);
  const REAL sum = load_lanes(sums + i, count);
  return LAYER_NORM ? fma(sum, load_lanes(staged->gain_hh + i, count), bias) : sum + bias;
}

/// Normalises one group of gates in row `row` of the products: group 0 has the first NORM_FIRST.
INLINE void
normalize_sums(const Staged *staged, global float *sums, size_t row, int group SCRATCH_PARAMETER) {
  const int first = group ? NORM_FIRST : 0, count = group ? GATES - NORM_FIRST : NORM_FIRST;
  const int H = staged->layer.H;
  if (!LAYER_NORM || count == 0) return;
  const float rstd = normalize(sums + (size_t)first * H, count, H SCRATCH(scratch));
  if (LANE == 0) staged->rstd[2 * row + group] = rstd;
}

/// What a later product multiplies with a gradient of 0 has to be a number: zeros past the length.
INLINE void clear_units(const Staged *staged, size_t kept, int unit) {
  const int H = staged->layer.H, count = H - unit;
  if (RESET_BEFORE) store_lanes((REAL)(0.0f), staged->reset + kept * H + unit, count);
  if (PROJECTION) store_lanes((REAL)(0.0f), staged->hidden + kept * H + unit, count);
  if (NORM_CELL) store_lanes((REAL)(0.0f), staged->normalized_c + kept * H + unit, count);
}

/// Stores the states beside h that a step made, as the next step reads them.
INLINE void store_memories(const Layer *layer, const REAL before[MEMORY], REAL c[MEMORY], int t,
                           int n, int unit) {
  const int H = layer->H, count = H - unit;
  const size_t index = row_at(layer, t, n) * H + unit, offset = memory_offset(layer, t, n);
  if (ZONEOUT && layer->cells_before_zoneout) {
    store_memory(c, layer->cells_before_zoneout + offset, H, unit, count);
  }
  EACH_MEMORY(k) c[k] = kept_state(kept_cell(layer, index, count), before[k], c[k]);
  store_memory(c, layer->cells + offset, H, unit, count);
}

/// Where h~ of a step goes, H wide.
INLINE global float *hidden_row(const Staged *staged, int t, int n) {
  const Layer *layer = &staged->layer;
  return PROJECTION ? staged->hidden + kept_row(layer, t, n) * layer->H
                    : layer->y + y_row_offset(layer, t, n);
}

/// The cell update of the units from `unit` on, up to what waits for other units.
INLINE void update_cell(const Staged *staged, REAL slots[SLOTS], int t, int n, int unit) {
  const Layer *layer = &staged->layer;
  const int H = layer->H, count = H - unit;
  Peepholes p;
  load_peepholes(&p, layer, unit, count);
  REAL before[MEMORY], c[MEMORY];
  load_memory(before, HAS_MEMORY ? memory_before(layer, t, n) : 0, H, unit, count);
  EACH_MEMORY(k) c[k] = before[k];
  cell_gates(slots, c, p);
#if RESET_BEFORE
  store_lanes(slots[SLOT_R] * load_row(recurrent_input_before(layer, t, n), unit, count),
              staged->reset + kept_row(layer, t, n) * H + unit, count);
#else
#if NORM_CELL
  store_lanes(*c, staged->normalized_c + kept_row(layer, t, n) * H + unit, count);
#else
  // Without a projection the states are as wide as the units; cells with one ignore h'.
  const REAL h_before =
      PROJECTION ? (REAL)(0.0f) : load_row(hidden_before(layer, t, n), unit, count);
  const REAL h = cell_output(slots, h_before, c);
  store_lanes(h, hidden_row(staged, t, n) + unit, count);
#endif
  if (HAS_MEMORY) store_memories(layer, before, c, t, n, unit);
#endif
}

#if NORM_CELL
/// The normalised c on the path to h: gain_c c^ + bias_c.
INLINE REAL scaled_cell(const Staged *staged, REAL value, int unit, int count) {
  return fma(value, load_lanes(staged->gain_c + unit, count),
             load_row(staged->bias_c, unit, count));
}

/// h~ from the normalised c.
INLINE void normalized_output(const Staged *staged, int t, int n SCRATCH_PARAMETER) {
  const Layer *layer = &staged->layer;
  const int H = layer->H, active = is_active(layer->lengths, t, n);
  const size_t kept = kept_row(layer, t, n);
  global const float *row = layer->gates + gates_row_offset(layer, t, n);
  const float rstd = normalize(staged->normalized_c + kept * H, 1, H SCRATCH(scratch));
  if (LANE == 0) staged->rstd_c[kept] = rstd;
  EACH_UNIT(unit, H) {
    const int count = H - unit;
    if (!active) continue;
    REAL slots[SLOTS];
    slots[SLOT_O] = load_lanes(row + (size_t)SLOT_O * H + unit, count);
    const REAL value = load_lanes(staged->normalized_c + kept * H + unit, count);
    const REAL c = scaled_cell(staged, value, unit, count);
    store_lanes(cell_output(slots, (REAL)(0.0f), &c), hidden_row(staged, t, n) + unit, count);
  }
}
#endif

INLINE void stage_gates(const Staged *staged, int t, int n SCRATCH_PARAMETER) {
  const Layer *layer = &staged->layer;
  const int H = layer->H, active = is_active(layer->lengths, t, n);
  const size_t kept = kept_row(layer, t, n);
  global float *sums = staged->sums + kept * GATES * H;
  global float *row = layer->gates + gates_row_offset(layer, t, n);
  normalize_sums(staged, sums, kept, 0 SCRATCH(scratch));
  if (!RESET_BEFORE) normalize_sums(staged, sums, kept, 1 SCRATCH(scratch));
  EACH_UNIT(unit, H) {
    if (!active) {
      clear_units(staged, kept, unit);
      continue;
    }
    REAL slots[SLOTS];
    load_slots(slots, row, GATES, H, unit);
    for (int gate = 0; gate < FIRST_GATES; ++gate) {
      const REAL sum = recurrent_sum(staged, sums, gate, unit);
      const int slot = RECURRENT_SLOT(gate);
      slots[slot] = slot == gate ? slots[slot] + sum : sum;
    }
    update_cell(staged, slots, t, n, unit);
    store_slots(slots, row, H, unit);
  }
#if NORM_CELL
  normalized_output(staged, t, n SCRATCH(scratch));
#endif
}

#if RESET_BEFORE
INLINE void stage_new_gate(const Staged *staged, int t, int n SCRATCH_PARAMETER) {
  const Layer *layer = &staged->layer;
  const int H = layer->H, active = is_active(layer->lengths, t, n);
  const size_t kept = kept_row(layer, t, n);
  global float *sums = staged->sums + kept * GATES * H;
  global float *row = layer->gates + gates_row_offset(layer, t, n);
  global const float *h_before = hidden_before(layer, t, n);
  normalize_sums(staged, sums, kept, 1 SCRATCH(scratch));
  EACH_UNIT(unit, H) {
    const int count = H - unit;
    if (!active) continue;
    REAL slots[SLOTS];
    slots[SLOT_Z] = load_lanes(row + (size_t)SLOT_Z * H + unit, count);
    slots[SLOT_N] = load_lanes(row + (size_t)SLOT_N * H + unit, count) +
                    recurrent_sum(staged, sums, SLOT_N, unit);
    const REAL h = cell_output(slots, load_row(h_before, unit, count), 0);
    store_lanes(slots[SLOT_N], row + (size_t)SLOT_N * H + unit, count);
    store_lanes(h, layer->y + y_row_offset(layer, t, n) + unit, count);
  }
}
#endif

INLINE void stage_finish(const Staged *staged, int t, int n) {
  const Layer *layer = &staged->layer;
  const int H = layer->H, P = layer->P;
  const size_t index = row_at(layer, t, n);
  global const float *h_before = hidden_before(layer, t, n);
  global float *y = layer->y + y_row_offset(layer, t, n);
  const int active = is_active(layer->lengths, t, n);
  EACH_UNIT(unit, P) {
    const int count = P - unit;
    const REAL before = load_row(h_before, unit, count);
    const REAL h = active ? kept_state(kept_hidden(layer, index * P + unit, count), before,
                                       load_lanes(y + unit, count))
                          : before;
    store_hidden(layer, h, y, t, n, unit, count);
  }
  if (!HAS_MEMORY || active) return;
  global const float *c_before = memory_before(layer, t, n);
  EACH_UNIT(unit, H) {
    REAL c[MEMORY];
    load_memory(c, c_before, H, unit, H - unit);
    store_memory(c, layer->cells + memory_offset(layer, t, n), H, unit, H - unit);
  }
}
