// The steps of layers whose units wait for each other within a step: layer normalisation, a reset
// gate before the product, a projection. What lies between two products is done for one sequence by
// the work-items of a group.
//
// No barrier depends on a sequence's length: the padding is normalised like any row.
//
// A step forward, and the products before and between, whose results stand in memory:
//
//   sums = factors weight_hh^T      row_gates       the gates, c and h~, or with the reset gate
//                                                   before the product r, z and `reset`
//   sums_n = reset weight_hh_n^T    row_new         h~
//   y = hidden weight_hr^T                          h~ of a projection
//                                   row_finish      h from h~, and what the next step reads
//
// A step back; `dh` [N, P] holds the gradient of h from all later steps, `dc` [N, H] that of c:
//
//                                   row_begin       the gradient of h~
//   grad_hidden = grad_h~ weight_hr                 that of h~ before the projection
//                                   row_backward    those of the sums, but r's with the reset gate
//                                                   before the product
//   grad_reset = grad_n weight_hh_n row_reset       that of r
//   back = gradients weight_hh      row_carry       `dh` of the step before
//
// Layouts beside those of layer.cl: `sums` [T, N, GATES, H] are the recurrent products, and with
// layer normalisation their v^ (norm.cl), `deviations` [T, N, 2] the reciprocal ones; hats_c
// [T, N, H] and deviations_c [T, N] the same of c; `reset` [T, N, H] is r times the factors;
// `hidden` [T, N, H] what is projected. With `training` 0 they hold one step. `gradients` [T, N,
// GATES, H] are those of the recurrent products, `gates` itself where nothing is normalised; grad_c
// [T, N, H] are those of gain_c c^ + bias_c.
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
/// Whether something stands between c and h.
#define NORM_CELL (LAYER_NORM && NORMALIZES_MEMORY)

/// Row n of step t of an array that with `training` 0 holds one step.
INLINE size_t kept_row(const Layer *layer, int t, int n) {
  return (size_t)(layer->training ? t : 0) * layer->N + n;
}
INLINE size_t row_at(const Layer *layer, int t, int n) { return (size_t)t * layer->N + n; }

/// `count` lanes of a row that may not be there.
INLINE REAL load_row(global const float *row, int unit, int count) {
  return row ? load_lanes(row + unit, count) : (REAL)(0.0f);
}

/// The recurrent product of a gate with the bias, normalised where the layer is.
INLINE REAL recurrent_sum(const Layer *layer, global const float *sums, int gate, int unit,
                          int count) {
  const int i = gate * layer->H + unit;
  const REAL bias = layer->bias_hh ? load_lanes(layer->bias_hh + i, count) : (REAL)(0.0f);
  const REAL sum = load_lanes(sums + i, count);
  return LAYER_NORM ? fma(sum, load_lanes(layer->gain_hh + i, count), bias) : sum + bias;
}

/// Normalises one group of the products.
INLINE void
normalize_sums(const Layer *layer, global float *sums, size_t row, int part SCRATCH_PARAMETER) {
  const int first = part ? NORM_FIRST : 0, count = part ? GATES - NORM_FIRST : NORM_FIRST;
  if (!LAYER_NORM || count == 0) return;
  const float factor = normalize(sums + (size_t)first * layer->H, count, layer->H SCRATCH(scratch));
  if (LANE == 0) layer->deviations[2 * row + part] = factor;
}

INLINE void row_gates(const Layer *layer, int t, int n SCRATCH_PARAMETER) {
  const int H = layer->H;
  const size_t index = row_at(layer, t, n), kept = kept_row(layer, t, n);
  global float *sums = layer->sums + kept * GATES * H;
  global float *slots_row = layer->gates + index * layer->gates_stride;
  global float *result = PROJECTION ? layer->hidden + kept * H : layer->y + y_place(layer, t, n);
  const int active = is_active(layer->lengths, t, n);
  normalize_sums(layer, sums, kept, 0 SCRATCH(scratch));
  if (!RESET_BEFORE) normalize_sums(layer, sums, kept, 1 SCRATCH(scratch));
  EACH_UNIT(unit, H) {
    const int count = H - unit;
    if (!active) {
      // What meets a gradient of 0 later must be a number.
      if (RESET_BEFORE) store_lanes((REAL)(0.0f), layer->reset + kept * H + unit, count);
      if (PROJECTION) store_lanes((REAL)(0.0f), result + unit, count);
      if (NORM_CELL) store_lanes((REAL)(0.0f), layer->hats_c + kept * H + unit, count);
      continue;
    }
    REAL slots[SLOTS];
    for (int gate = 0; gate < GATES; ++gate) {
      slots[gate] = load_lanes(slots_row + (size_t)gate * H + unit, count);
    }
    for (int gate = 0; gate < FIRST_GATES; ++gate) {
      const REAL sum = recurrent_sum(layer, sums, gate, unit, count);
      const int slot = RECURRENT_SLOT(gate);
      slots[slot] = slot == gate ? slots[slot] + sum : sum;
    }
    Peepholes p;
    load_peepholes(&p, layer, unit, count);
    REAL before[MEMORY], c[MEMORY];
    load_memory(before, HAS_CELL_STATE ? cell_before(layer, t, n) : 0, H, unit, count);
    EACH_MEMORY(k) c[k] = before[k];
    cell_gates(slots, c, p);
#if RESET_BEFORE
    store_lanes(slots[SLOT_R] * load_row(factor_before(layer, t, n), unit, count),
                layer->reset + kept * H + unit, count);
#else
#if NORM_CELL
    store_lanes(*c, layer->hats_c + kept * H + unit, count);
#else
    // Without a projection the states are as wide as the units; cells with one ignore h'.
    const REAL h_before =
        PROJECTION ? (REAL)(0.0f) : load_row(hidden_before(layer, t, n), unit, count);
    const REAL h = cell_output(slots, h_before, c);
    store_lanes(h, result + unit, count);
#endif
    if (HAS_CELL_STATE) {
      const size_t place = memory_place(layer, t, n);
      if (ZONEOUT && layer->fresh) store_memory(c, layer->fresh + place, H, unit, count);
      EACH_MEMORY(k) {
        c[k] = kept_state(kept_cell(layer, index * H + unit, count), before[k], c[k]);
      }
      store_memory(c, layer->cells + place, H, unit, count);
    }
#endif
    for (int slot = 0; slot < SLOTS; ++slot) {
      store_lanes(slots[slot], slots_row + (size_t)slot * H + unit, count);
    }
  }
#if NORM_CELL
  const float factor = normalize(layer->hats_c + kept * H, 1, H SCRATCH(scratch));
  if (LANE == 0) layer->deviations_c[kept] = factor;
  EACH_UNIT(unit, H) {
    const int count = H - unit;
    if (!active) continue;
    REAL slots[SLOTS];
    slots[SLOT_O] = load_lanes(slots_row + (size_t)SLOT_O * H + unit, count);
    const REAL hat = load_lanes(layer->hats_c + kept * H + unit, count);
    const REAL c =
        fma(hat, load_lanes(layer->gain_c + unit, count), load_row(layer->bias_c, unit, count));
    store_lanes(cell_output(slots, (REAL)(0.0f), &c), result + unit, count);
  }
#endif
}

#if RESET_BEFORE
INLINE void row_new(const Layer *layer, int t, int n SCRATCH_PARAMETER) {
  const int H = layer->H, active = is_active(layer->lengths, t, n);
  const size_t index = row_at(layer, t, n), kept = kept_row(layer, t, n);
  global float *sums = layer->sums + kept * GATES * H;
  global float *slots_row = layer->gates + index * layer->gates_stride;
  global const float *h_before = hidden_before(layer, t, n);
  normalize_sums(layer, sums, kept, 1 SCRATCH(scratch));
  EACH_UNIT(unit, H) {
    const int count = H - unit;
    if (!active) continue;
    REAL slots[SLOTS];
    slots[SLOT_Z] = load_lanes(slots_row + (size_t)SLOT_Z * H + unit, count);
    slots[SLOT_N] = load_lanes(slots_row + (size_t)SLOT_N * H + unit, count) +
                    recurrent_sum(layer, sums, SLOT_N, unit, count);
    const REAL h = cell_output(slots, load_row(h_before, unit, count), 0);
    store_lanes(slots[SLOT_N], slots_row + (size_t)SLOT_N * H + unit, count);
    store_lanes(h, layer->y + y_place(layer, t, n) + unit, count);
  }
}
#endif

INLINE void row_finish(const Layer *layer, int t, int n) {
  const int H = layer->H, P = layer->P;
  const size_t index = row_at(layer, t, n);
  global const float *h_before = hidden_before(layer, t, n);
  global float *y = layer->y + y_place(layer, t, n);
  const int active = is_active(layer->lengths, t, n);
  EACH_UNIT(unit, P) {
    const int count = P - unit;
    const REAL before = load_row(h_before, unit, count);
    const REAL h = active ? kept_state(kept_hidden(layer, index * P + unit, count), before,
                                       load_lanes(y + unit, count))
                          : before;
    store_hidden(layer, h, y, t, n, unit, count);
  }
  if (!HAS_CELL_STATE || active) return;
  global const float *c_before = cell_before(layer, t, n);
  EACH_UNIT(unit, H) {
    REAL c[MEMORY];
    load_memory(c, c_before, H, unit, H - unit);
    store_memory(c, layer->cells + memory_place(layer, t, n), H, unit, H - unit);
  }
}

/// What the backward pass is given beside the layer. `grad_states` and `grad_hidden` are the
/// gradients of h~ [T, N, P] and of what is projected [N, H]: the same [N, H] without a projection.
typedef struct {
  global const float *grad_y;
  global float *dh, *dc, *gradients, *grad_c, *grad_states, *grad_hidden, *grad_reset, *back;
} Gradients;

#define GRADIENT_PARAMETERS                                                                        \
  global const float *grad_y, global float *dh, global float *dc, global float *gradients,         \
      global float *grad_c, global float *grad_states, global float *grad_hidden,                  \
      global float *grad_reset, global float *back
#define GRADIENTS                                                                                  \
  { grad_y + y_offset, dh, dc, gradients, grad_c, grad_states, grad_hidden, grad_reset, back }

INLINE void row_begin(const Layer *layer, const Gradients *g, int t, int n) {
  const int P = layer->P;
  const size_t index = row_at(layer, t, n);
  const int active = is_active(layer->lengths, t, n);
  global float *dh = g->dh + (size_t)n * P;
  global float *result = g->grad_states + (PROJECTION ? index : (size_t)n) * P;
  EACH_UNIT(unit, P) {
    const int count = P - unit;
    if (!active) {
      store_lanes((REAL)(0.0f), result + unit, count);
      continue;
    }
    const REAL gradient =
        load_lanes(dh + unit, count) + load_lanes(g->grad_y + y_place(layer, t, n) + unit, count);
    const REAL kept = kept_hidden(layer, index * P + unit, count) * gradient;
    store_lanes(gradient - kept, result + unit, count);
    store_lanes(kept, dh + unit, count);
  }
}

/// The gradients of one group of the recurrent products, from those of the sums.
INLINE void products_backward(const Layer *layer, const Gradients *g, size_t index,
                              int part SCRATCH_PARAMETER) {
  const int first = part ? NORM_FIRST : 0, count = part ? GATES - NORM_FIRST : NORM_FIRST;
  const int H = layer->H;
  if (!LAYER_NORM || count == 0) return;
  const size_t i = (index * GATES + first) * H;
  normalize_backward(layer->gates + index * layer->gates_stride + RECURRENT_SLOT(first) * H,
                     layer->sums + i, layer->gain_hh + first * H,
                     layer->deviations[2 * index + part], g->gradients + i, count,
                     H SCRATCH(scratch));
}

/// h' where it reaches h other than through the products.
INLINE REAL direct_hidden(const Layer *layer, int t, int n, int unit, int count) {
  if (!HAS_DIRECT_PATH) return (REAL)(0.0f);
  return load_row(true_hidden_before(layer, t, n), unit, count);
}

INLINE void row_backward(const Layer *layer, const Gradients *g, int t, int n SCRATCH_PARAMETER) {
  const int H = layer->H;
  const size_t index = row_at(layer, t, n);
  global float *slots_row = layer->gates + index * layer->gates_stride;
  global const float *gradient = g->grad_hidden + (size_t)n * H;
  const int active = is_active(layer->lengths, t, n);
#if NORM_CELL
  global const float *hats = layer->hats_c + index * H;
  REAL total = (REAL)(0.0f), total_products = (REAL)(0.0f);
  EACH_UNIT(unit, H) {
    const int count = H - unit;
    if (!active) {
      store_lanes((REAL)(0.0f), g->grad_c + index * H + unit, count);
      continue;
    }
    REAL slots[SLOTS], output;
    slots[SLOT_O] = load_lanes(slots_row + (size_t)SLOT_O * H + unit, count);
    const REAL gain = load_lanes(layer->gain_c + unit, count), hat = load_lanes(hats + unit, count);
    const REAL c = fma(hat, gain, load_row(layer->bias_c, unit, count));
    const REAL d = cell_output_backward(slots, c, load_lanes(gradient + unit, count), &output);
    store_lanes(d, g->grad_c + index * H + unit, count);
    total = fma(first_lanes(d, count), gain, total);
    total_products = fma(first_lanes(d, count) * gain, hat, total_products);
  }
  const REAL mean = (REAL)(GROUP_SUM(sum_lanes(total), scratch) / (float)H);
  const REAL product = (REAL)(GROUP_SUM(sum_lanes(total_products), scratch) / (float)H);
  const REAL factor = (REAL)(layer->deviations_c[index]);
#endif
  EACH_UNIT(unit, H) {
    const int count = H - unit;
    if (!active) {
      for (int slot = 0; slot < SLOTS; ++slot) {
        store_lanes((REAL)(0.0f), slots_row + (size_t)slot * H + unit, count);
      }
      continue;
    }
    const REAL dh = load_lanes(gradient + unit, count);
    REAL slots[SLOTS], direct = (REAL)(0.0f);
    for (int slot = 0; slot < SLOTS; ++slot) {
      slots[slot] = load_lanes(slots_row + (size_t)slot * H + unit, count);
    }
#if RESET_BEFORE
    cell_new_backward(slots, direct_hidden(layer, t, n, unit, count), dh, &direct);
#else
    REAL carried[MEMORY], kept[MEMORY], c[MEMORY], before[MEMORY];
    global float *dc = HAS_CELL_STATE ? g->dc + (size_t)n * MEMORIES * H : 0;
    if (HAS_CELL_STATE) {
      global const float *cells = ZONEOUT ? layer->fresh : layer->cells;
      load_memory(before, cell_before(layer, t, n), H, unit, count);
      load_memory(c, cells + memory_place(layer, t, n), H, unit, count);
      load_memory(carried, dc, H, unit, count);
      EACH_MEMORY(k) {
        kept[k] = kept_cell(layer, index * H + unit, count) * carried[k];
        carried[k] -= kept[k];
      }
    }
    Peepholes p;
    load_peepholes(&p, layer, unit, count);
#if NORM_CELL
    const REAL gain = load_lanes(layer->gain_c + unit, count), hat = load_lanes(hats + unit, count);
    const REAL normed = fma(hat, gain, load_row(layer->bias_c, unit, count));
    REAL output;
    const REAL d = cell_output_backward(slots, normed, dh, &output);
    *carried += (fma(d, gain, -mean) - hat * product) * factor;
    cell_state_backward(slots, *before, *c, output, carried, p);
#else
    cell_backward(slots, direct_hidden(layer, t, n, unit, count), before, c, dh, carried, &direct,
                  p);
#endif
    EACH_MEMORY(k) store_lanes(carried[k] + kept[k], dc + (size_t)k * H + unit, count);
#endif
    if (HAS_DIRECT_PATH) {
      global float *place = g->dh + (size_t)n * H + unit;
      store_lanes(load_lanes(place, count) + direct, place, count);
    }
    for (int slot = 0; slot < SLOTS; ++slot) {
      store_lanes(slots[slot], slots_row + (size_t)slot * H + unit, count);
    }
  }
  if (!RESET_BEFORE) products_backward(layer, g, index, 0 SCRATCH(scratch));
  products_backward(layer, g, index, 1 SCRATCH(scratch));
}

#if RESET_BEFORE
INLINE void row_reset(const Layer *layer, const Gradients *g, int t, int n SCRATCH_PARAMETER) {
  const int H = layer->H, active = is_active(layer->lengths, t, n);
  const size_t index = row_at(layer, t, n), state = (size_t)n * H;
  global float *slots_row = layer->gates + index * layer->gates_stride;
  global const float *h_before = true_hidden_before(layer, t, n);
  EACH_UNIT(unit, H) {
    const int count = H - unit;
    if (!active) continue;
    const REAL mask = layer->mask ? load_lanes(layer->mask + state + unit, count) : (REAL)(1.0f);
    REAL slots[SLOTS];
    slots[SLOT_R] = load_lanes(slots_row + (size_t)SLOT_R * H + unit, count);
    const REAL back = cell_reset_backward(slots, mask * load_row(h_before, unit, count),
                                          load_lanes(g->grad_reset + state + unit, count));
    store_lanes(slots[SLOT_R], slots_row + (size_t)SLOT_R * H + unit, count);
    store_lanes(fma(mask, back, load_lanes(g->dh + state + unit, count)), g->dh + state + unit,
                count);
  }
  products_backward(layer, g, index, 0 SCRATCH(scratch));
}
#endif

INLINE void row_carry(const Layer *layer, const Gradients *g, int n) {
  const size_t state = (size_t)n * layer->P;
  EACH_UNIT(unit, layer->P) {
    const int count = layer->P - unit;
    const REAL mask = layer->mask ? load_lanes(layer->mask + state + unit, count) : (REAL)(1.0f);
    store_lanes(fma(mask, load_lanes(g->back + state + unit, count),
                    load_lanes(g->dh + state + unit, count)),
                g->dh + state + unit, count);
  }
}
