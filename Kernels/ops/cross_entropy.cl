// Softmax with cross-entropy, weights of classes and smoothed labels.
//
// Layouts: logits and grad_logits [M, V], targets [M], weights [V] or null for ones. A work-group
// serves one row.

#include "common/activation.cl"
#include "common/group.cl"

/// The vector with `more` added to one lane.
INLINE REAL add_to_lane(REAL value, int lane, float more) {
  float lanes[WIDTH];
  VSTORE(value, 0, lanes);
  lanes[lane] += more;
  return VLOAD(0, lanes);
}

/// `share` times the weights of the classes from v on.
INLINE REAL shared_weights(global const float *weights, int v, int count, float share) {
  return share * (weights ? load_lanes(weights + v, count) : first_lanes((REAL)(1.0f), count));
}

/// With p = softmax(logits[m, :]) and a[v] = weights[v] (hit [v = targets[m]] + share):
/// losses[m] = - sum over v of a[v] log p[v], 0 where the target is negative; where `grad_logits`
/// is not null, grad_logits[m, v] = scale (p[v] sum(a) - a[v]), 0 in a row whose target is
/// negative. `grad_logits` may be `logits`. Global size: LANES, M.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
cross_entropy(global const float *logits, global const int *targets, global const float *weights,
              global float *grad_logits, global float *losses, int V, float hit, float share,
              float scale) {
  GROUP_SCRATCH(scratch);
  const int m = get_group_id(1), lane = get_local_id(0), target = targets[m];
  const REAL zero = (REAL)(0.0f);
  logits += (size_t)m * V;
  float maximum = -INFINITY;
  for (int v = lane; v < V; v += LANES) maximum = fmax(maximum, logits[v]);
  maximum = GROUP_MAX(maximum, scratch);
  REAL sums = zero, shares = zero, missings = zero;
  for (int v = lane * WIDTH; v < V; v += LANES * WIDTH) {
    const REAL below = (REAL)(maximum)-load_lanes(logits + v, V - v);
    sums += first_lanes(exponential(-below), V - v);
    if (share == 0.0f) continue;
    // A class that is not wanted at all takes no part, though its logit be minus infinity.
    const REAL wanted = shared_weights(weights, v, V - v, share);
    shares += wanted;
    missings += wanted != zero ? wanted * below : zero;
  }
  const float sum = GROUP_SUM(sum_lanes(sums), scratch);
  float all = GROUP_SUM(sum_lanes(shares), scratch);
  float missing = GROUP_SUM(sum_lanes(missings), scratch);
  const int known = max(target, 0);
  const float own = target < 0 ? 0.0f : weights ? hit * weights[known] : hit;
  all += own;
  if (own != 0.0f) missing = fma(own, maximum - logits[known], missing);
  if (lane == 0) losses[m] = target < 0 ? 0.0f : fma(all, log(sum), missing);
  if (!grad_logits) return;
  grad_logits += (size_t)m * V;
  const float factor = scale * all / sum;
#if LANES > 1
  barrier(CLK_GLOBAL_MEM_FENCE);
#endif
  for (int v = lane * WIDTH; v < V; v += LANES * WIDTH) {
    const int count = V - v;
    const REAL e = exponential(load_lanes(logits + v, count) - (REAL)(maximum));
    REAL wanted = share == 0.0f ? zero : shared_weights(weights, v, count, share);
    if (target >= v && target < v + WIDTH) wanted = add_to_lane(wanted, target - v, own);
    store_lanes(target < 0 ? zero : fma(e, (REAL)(factor), -(scale * wanted)), grad_logits + v,
                count);
  }
}
