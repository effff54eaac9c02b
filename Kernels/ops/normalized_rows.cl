// Softmax and normalisation of the rows of a matrix.
//
// Layouts: x, y and their gradients [M, V], statistics [2, M], weights [V] or null for ones. A
// work-group serves one row.

#include "common/activation.cl"
#include "common/group.cl"

/// y = softmax(x), or with `logarithm` 1 its logarithm. Global size: LANES, M.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
softmax_rows(global const float *x, global float *y, int V, int logarithm) {
  GROUP_SCRATCH(scratch);
  const int lane = get_local_id(0);
  x += (size_t)get_group_id(1) * V;
  y += (size_t)get_group_id(1) * V;
  float maximum = -INFINITY;
  // fmax passes over NaN, which makes the sum NaN nonetheless.
  for (int v = lane; v < V; v += LANES) maximum = fmax(maximum, x[v]);
  maximum = GROUP_MAX(maximum, scratch);
  REAL sums = (REAL)(0.0f);
  for (int v = lane * WIDTH; v < V; v += LANES * WIDTH) {
    sums += first_lanes(exponential(load_lanes(x + v, V - v) - (REAL)(maximum)), V - v);
  }
  const float sum = GROUP_SUM(sum_lanes(sums), scratch), log_sum = log(sum);
  for (int v = lane * WIDTH; v < V; v += LANES * WIDTH) {
    const REAL below = load_lanes(x + v, V - v) - (REAL)(maximum);
    store_lanes(logarithm ? below - (REAL)(log_sum) : exponential(below) / (REAL)(sum), y + v,
                V - v);
  }
}

/// grad_x = y (grad_y - sum of grad_y y), or with `logarithm` 1 grad_y - e^y sum of grad_y. Global
/// size: LANES, M.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
softmax_rows_backward(global const float *y, global const float *grad_y, global float *grad_x,
                      int V, int logarithm) {
  GROUP_SCRATCH(scratch);
  const int lane = get_local_id(0);
  const size_t row = (size_t)get_group_id(1) * V;
  REAL sums = (REAL)(0.0f);
  for (int v = lane * WIDTH; v < V; v += LANES * WIDTH) {
    const REAL gradient = load_lanes(grad_y + row + v, V - v);
    sums += logarithm ? gradient : gradient * load_lanes(y + row + v, V - v);
  }
  const REAL sum = (REAL)(GROUP_SUM(sum_lanes(sums), scratch));
  for (int v = lane * WIDTH; v < V; v += LANES * WIDTH) {
    const REAL gradient = load_lanes(grad_y + row + v, V - v);
    const REAL value = load_lanes(y + row + v, V - v);
    store_lanes(logarithm ? gradient - exponential(value) * sum : value * (gradient - sum),
                grad_x + row + v, V - v);
  }
}

/// The weights from v on, zeros past the row's end.
INLINE REAL weights_from(global const float *weights, int v, int V) {
  return weights ? load_lanes(weights + v, V - v) : first_lanes((REAL)(1.0f), V - v);
}

/// y = (x - mean) rstd over the columns whose weight is 1, 0 in those where it is 0; rstd = 1 /
/// sqrt(variance + epsilon). statistics: the means, then rstd. Global size: LANES, M.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
normalize_rows(global const float *x, global const float *weights, global float *y,
               global float *statistics, int V, float epsilon) {
  GROUP_SCRATCH(scratch);
  const int lane = get_local_id(0), row = get_group_id(1), rows = get_num_groups(1);
  const REAL zero = (REAL)(0.0f);
  x += (size_t)row * V;
  y += (size_t)row * V;
  REAL sums = zero, counts = zero;
  for (int v = lane * WIDTH; v < V; v += LANES * WIDTH) {
    const REAL weight = weights_from(weights, v, V);
    sums += weight != zero ? load_lanes(x + v, V - v) : zero;
    counts += weight;
  }
  const float count = fmax(GROUP_SUM(sum_lanes(counts), scratch), 1.0f);
  const float mean = GROUP_SUM(sum_lanes(sums), scratch) / count;
  REAL squares = zero;
  for (int v = lane * WIDTH; v < V; v += LANES * WIDTH) {
    const REAL weight = weights_from(weights, v, V);
    const REAL distance = weight != zero ? load_lanes(x + v, V - v) - (REAL)(mean) : zero;
    squares = fma(distance, distance, squares);
  }
  const float variance = GROUP_SUM(sum_lanes(squares), scratch) / count;
  const float rstd = 1.0f / sqrt(variance + epsilon);
  for (int v = lane * WIDTH; v < V; v += LANES * WIDTH) {
    const REAL weight = weights_from(weights, v, V);
    const REAL distance = weight != zero ? load_lanes(x + v, V - v) - (REAL)(mean) : zero;
    store_lanes(distance * (REAL)(rstd), y + v, V - v);
  }
  if (lane > 0) return;
  statistics[row] = mean;
  statistics[rows + row] = rstd;
}

/// grad_x = rstd (grad_y - mean of grad_y - y mean of grad_y y) over the columns whose weight is 1.
/// Global size: LANES, M.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
normalize_rows_backward(global const float *y, global const float *statistics,
                        global const float *weights, global const float *grad_y,
                        global float *grad_x, int V) {
  GROUP_SCRATCH(scratch);
  const int lane = get_local_id(0), m = get_group_id(1), rows = get_num_groups(1);
  const size_t row = (size_t)m * V;
  const REAL zero = (REAL)(0.0f);
  REAL sums = zero, slopes = zero, counts = zero;
  for (int v = lane * WIDTH; v < V; v += LANES * WIDTH) {
    const REAL weight = weights_from(weights, v, V);
    const REAL gradient = weight != zero ? load_lanes(grad_y + row + v, V - v) : zero;
    sums += gradient;
    slopes = fma(gradient, load_lanes(y + row + v, V - v), slopes);
    counts += weight;
  }
  const float count = fmax(GROUP_SUM(sum_lanes(counts), scratch), 1.0f);
  const REAL mean = (REAL)(GROUP_SUM(sum_lanes(sums), scratch) / count);
  const REAL slope = (REAL)(GROUP_SUM(sum_lanes(slopes), scratch) / count);
  const REAL rstd = (REAL)(statistics[rows + m]);
  for (int v = lane * WIDTH; v < V; v += LANES * WIDTH) {
    const REAL weight = weights_from(weights, v, V);
    const REAL gradient = load_lanes(grad_y + row + v, V - v);
    const REAL value = load_lanes(y + row + v, V - v);
    store_lanes(weight != zero ? rstd * (gradient - mean - value * slope) : zero, grad_x + row + v,
                V - v);
  }
}
