// The strategy "staged", backward: the stages of a step, as in staged.cl.
//
// `dh` [N, P] holds the gradient of h from all later steps, `dc` [N, M, H] those
// of the states beside h:
//
//                                        stage_begin      the gradient of h~
//   grad_hidden = grad_h~ weight_hr                       that of h~ before the projection
//                                        stage_backward   those of the sums; with the reset gate
//                                                         before the product without r's
//   grad_reset = grad_n weight_hh_n      stage_reset      that of the sum of r
//   back = gradients weight_hh           stage_carry      `dh` for the step before

#include "recurrent/staged.cl"

/// The arguments of the backward pass:
///
///   grad_y, dh, dc       see above; `dh` and `dc` go from step to step.
///   gradients            [T, N, GATES, H], of the recurrent products; `gates` itself where nothing
///                        is normalised.
///   grad_c               [T, N, H], of gain_c c^ + bias_c.
///   grad_states          of h~: [T, N, P] with a projection, else [N, H].
///   grad_hidden          [N, H], of what is projected; without a projection the same array.
///   grad_reset, back     [N, P]: results of products.
#define GRADIENT_PARAMETERS                                                                        \
  global const float *grad_y, global float *dh, global float *dc, global float *gradients,         \
      global float *grad_c, global float *grad_states, global float *grad_hidden,                  \
      global float *grad_reset, global float *back
#define GRADIENTS                                                                                  \
  { grad_y + y_offset, dh, dc, gradients, grad_c, grad_states, grad_hidden, grad_reset, back }

typedef struct {
  global const float *grad_y;
  global float *dh, *dc, *gradients, *grad_c, *grad_states, *grad_hidden, *grad_reset, *back;
} Gradients;

INLINE void stage_begin(const Staged *staged, const Gradients *g, int t, int n) {
  const Layer *layer = &staged->layer;
  const int P = layer->P, active = is_active(layer->lengths, t, n);
  const size_t index = row_at(layer, t, n);
  global const float *grad_y = g->grad_y + y_row_offset(layer, t, n);
  global float *dh = g->dh + (size_t)n * P;
  global float *result = g->grad_states + (PROJECTION ? index : (size_t)n) * P;
  EACH_UNIT(unit, P) {
    const int count = P - unit;
    if (!active) {
      store_lanes((REAL)(0.0f), result + unit, count);
      continue;
    }
    const REAL gradient = load_lanes(dh + unit, count) + load_lanes(grad_y + unit, count);
    const REAL kept = kept_hidden(layer, index * P + unit, count) * gradient;
    store_lanes(gradient - kept, result + unit, count);
    store_lanes(kept, dh + unit, count);
  }
}

/// The gradients of one group of the recurrent products, from those of the sums.
INLINE void products_backward(const Staged *staged, const Gradients *g, int t, int n,
                              int group SCRATCH_PARAMETER) {
  const Layer *layer = &staged->layer;
  const int first = group ? NORM_FIRST : 0, count = group ? GATES - NORM_FIRST : NORM_FIRST;
  const int H = layer->H;
  if (!LAYER_NORM || count == 0) return;
  const size_t index = row_at(layer, t, n), i = (index * GATES + first) * H;
  normalize_backward(layer->gates + gates_row_offset(layer, t, n) + RECURRENT_SLOT(first) * H,
                     staged->sums + i, staged->gain_hh + first * H, staged->rstd[2 * index + group],
                     g->gradients + i, count, H SCRATCH(scratch));
}

/// h' where a path leads from it to h besides the products.
INLINE REAL direct_hidden(const Layer *layer, int t, int n, int unit, int count) {
  if (!HAS_DIRECT_PATH) return (REAL)(0.0f);
  return load_row(own_hidden(layer, t, n), unit, count);
}

/// What the gradient of a normalised c is made from: means over the units of the gradient and of
/// its product with c^, and 1 / standard deviation.
typedef struct {
  REAL mean, product, rstd;
} CellNorm;

#if NORM_CELL
/// Writes the gradients of gain_c c^ + bias_c, and sums what all units need of each other. A struct
/// that is returned is a pointer without aliases, which Oclgrind's compiler marks by a function
/// that Oclgrind does not know.
INLINE void sum_cell_gradients(CellNorm *norm, const Staged *staged, const Gradients *g, int t,
                               int n SCRATCH_PARAMETER) {
  const Layer *layer = &staged->layer;
  const int H = layer->H, active = is_active(layer->lengths, t, n);
  const size_t index = row_at(layer, t, n);
  global const float *row = layer->gates + gates_row_offset(layer, t, n);
  REAL total = (REAL)(0.0f), total_products = (REAL)(0.0f);
  EACH_UNIT(unit, H) {
    const int count = H - unit;
    if (!active) {
      store_lanes((REAL)(0.0f), g->grad_c + index * H + unit, count);
      continue;
    }
    REAL slots[SLOTS], output;
    slots[SLOT_O] = load_lanes(row + (size_t)SLOT_O * H + unit, count);
    const REAL gain = load_lanes(staged->gain_c + unit, count);
    const REAL value = load_lanes(staged->normalized_c + index * H + unit, count);
    const REAL gradient = load_lanes(g->grad_hidden + (size_t)n * H + unit, count);
    const REAL d =
        cell_output_backward(slots, scaled_cell(staged, value, unit, count), gradient, &output);
    store_lanes(d, g->grad_c + index * H + unit, count);
    total = fma(first_lanes(d, count), gain, total);
    total_products = fma(first_lanes(d, count) * gain, value, total_products);
  }
  norm->mean = (REAL)(GROUP_SUM(sum_lanes(total), scratch) / (float)H);
  norm->product = (REAL)(GROUP_SUM(sum_lanes(total_products), scratch) / (float)H);
  norm->rstd = (REAL)(staged->rstd_c[index]);
}
#endif

/// The cell update backward of the units from `unit` on, from the gradient of h~: `slots` receive
/// those of the sums. Returns the gradient of h' that does not pass through the products.
INLINE REAL update_gradients(const Staged *staged, const Gradients *g, REAL slots[SLOTS],
                             const CellNorm *norm, int t, int n, int unit) {
  const Layer *layer = &staged->layer;
  const int H = layer->H, count = H - unit;
  const REAL dh = load_lanes(g->grad_hidden + (size_t)n * H + unit, count);
  REAL direct = (REAL)(0.0f);
#if RESET_BEFORE
  cell_new_backward(slots, direct_hidden(layer, t, n, unit, count), dh, &direct);
#else
  const size_t index = row_at(layer, t, n) * H + unit;
  REAL carried[MEMORY], kept[MEMORY], c[MEMORY], before[MEMORY];
  global float *dc = HAS_MEMORY ? g->dc + (size_t)n * MEMORIES * H : 0;
  if (HAS_MEMORY) {
    global const float *cells = ZONEOUT ? layer->cells_before_zoneout : layer->cells;
    load_memory(before, memory_before(layer, t, n), H, unit, count);
    load_memory(c, cells + memory_offset(layer, t, n), H, unit, count);
    load_memory(carried, dc, H, unit, count);
    EACH_MEMORY(k) {
      kept[k] = kept_cell(layer, index, count) * carried[k];
      carried[k] -= kept[k];
    }
  }
  Peepholes p;
  load_peepholes(&p, layer, unit, count);
#if NORM_CELL
  const REAL gain = load_lanes(staged->gain_c + unit, count);
  const REAL value = load_lanes(staged->normalized_c + index, count);
  REAL output;
  const REAL d = cell_output_backward(slots, scaled_cell(staged, value, unit, count), dh, &output);
  *carried += (fma(d, gain, -norm->mean) - value * norm->product) * norm->rstd;
  cell_state_backward(slots, *before, *c, output, carried, p);
#else
  cell_backward(slots, direct_hidden(layer, t, n, unit, count), before, c, dh, carried, &direct, p);
#endif
  EACH_MEMORY(k) store_lanes(carried[k] + kept[k], dc + (size_t)k * H + unit, count);
#endif
  return direct;
}

INLINE void
stage_backward(const Staged *staged, const Gradients *g, int t, int n SCRATCH_PARAMETER) {
  const Layer *layer = &staged->layer;
  const int H = layer->H, active = is_active(layer->lengths, t, n);
  global float *row = layer->gates + gates_row_offset(layer, t, n);
  CellNorm norm = {(REAL)(0.0f), (REAL)(0.0f), (REAL)(0.0f)};
#if NORM_CELL
  sum_cell_gradients(&norm, staged, g, t, n SCRATCH(scratch));
#endif
  EACH_UNIT(unit, H) {
    const int count = H - unit;
    REAL slots[SLOTS];
    if (!active) {
      for (int slot = 0; slot < SLOTS; ++slot) slots[slot] = (REAL)(0.0f);
      store_slots(slots, row, H, unit);
      continue;
    }
    load_slots(slots, row, SLOTS, H, unit);
    const REAL direct = update_gradients(staged, g, slots, &norm, t, n, unit);
    if (HAS_DIRECT_PATH) {
      global float *sum = g->dh + (size_t)n * H + unit;
      store_lanes(load_lanes(sum, count) + direct, sum, count);
    }
    store_slots(slots, row, H, unit);
  }
  if (!RESET_BEFORE) products_backward(staged, g, t, n, 0 SCRATCH(scratch));
  products_backward(staged, g, t, n, 1 SCRATCH(scratch));
}

#if RESET_BEFORE
INLINE void stage_reset(const Staged *staged, const Gradients *g, int t, int n SCRATCH_PARAMETER) {
  const Layer *layer = &staged->layer;
  const int H = layer->H, active = is_active(layer->lengths, t, n);
  const size_t state = (size_t)n * H;
  global float *row = layer->gates + gates_row_offset(layer, t, n);
  global const float *h_before = own_hidden(layer, t, n);
  EACH_UNIT(unit, H) {
    const int count = H - unit;
    if (!active) continue;
    const REAL mask = layer->mask ? load_lanes(layer->mask + state + unit, count) : (REAL)(1.0f);
    REAL slots[SLOTS];
    slots[SLOT_R] = load_lanes(row + (size_t)SLOT_R * H + unit, count);
    const REAL back = cell_reset_backward(slots, mask * load_row(h_before, unit, count),
                                          load_lanes(g->grad_reset + state + unit, count));
    store_lanes(slots[SLOT_R], row + (size_t)SLOT_R * H + unit, count);
    store_lanes(fma(mask, back, load_lanes(g->dh + state + unit, count)), g->dh + state + unit,
                count);
  }
  products_backward(staged, g, t, n, 0 SCRATCH(scratch));
}
#endif

INLINE void stage_carry(const Staged *staged, const Gradients *g, int n) {
  const Layer *layer = &staged->layer;
  const size_t state = (size_t)n * layer->P;
  EACH_UNIT(unit, layer->P) {
    const int count = layer->P - unit;
    const REAL mask = layer->mask ? load_lanes(layer->mask + state + unit, count) : (REAL)(1.0f);
    store_lanes(fma(mask, load_lanes(g->back + state + unit, count),
                    load_lanes(g->dh + state + unit, count)),
                g->dh + state + unit, count);
  }
}
