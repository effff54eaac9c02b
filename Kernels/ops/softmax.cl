// Softmax with cross-entropy.
//
// Layouts: logits and grad_logits [M, V], targets [M]. A work-group serves one row.

#include "common/activation.cl"
#include "common/group.cl"

/// losses[m] = -log softmax(logits[m, :])[targets[m]], 0 where the target is negative; where
/// `grad_logits` is not null, grad_logits[m, v] = scale (softmax(logits[m, :])[v] - [v =
/// targets[m]]), 0 in a row whose target is negative. `grad_logits` may be `logits`. Global size:
/// LANES, M.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
softmax_cross_entropy(global const float *logits, global const int *targets,
                      global float *grad_logits, global float *losses, int V, float scale) {
  GROUP_SCRATCH(scratch);
  const int m = get_group_id(1), lane = get_local_id(0), target = targets[m];
  logits += (size_t)m * V;
  float maximum = -INFINITY;
  // fmax passes over NaN, which makes the sum NaN nonetheless.
  for (int v = lane; v < V; v += LANES) maximum = fmax(maximum, logits[v]);
  maximum = GROUP_MAX(maximum, scratch);
  REAL sums = (REAL)(0.0f);
  for (int v = lane * WIDTH; v < V; v += LANES * WIDTH) {
    sums += first_lanes(exponential(load_lanes(logits + v, V - v) - (REAL)(maximum)), V - v);
  }
  const float sum = GROUP_SUM(sum_lanes(sums), scratch);
  if (lane == 0) losses[m] = target < 0 ? 0.0f : log(sum) + (maximum - logits[target]);
  if (!grad_logits) return;
  grad_logits += (size_t)m * V;
  const float factor = scale / sum;
#if LANES > 1
  barrier(CLK_GLOBAL_MEM_FENCE);
#endif
  for (int v = lane * WIDTH; v < V; v += LANES * WIDTH) {
    const int count = V - v;
    const REAL e = exponential(load_lanes(logits + v, count) - (REAL)(maximum));
    store_lanes(target < 0 ? (REAL)(0.0f) : e * factor, grad_logits + v, count);
    if (target >= v && target < v + WIDTH) grad_logits[target] -= scale;
  }
}
