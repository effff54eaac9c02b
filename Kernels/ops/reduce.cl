// Sums of many numbers, in an order that depends on nothing but the sizes.

#include "common/group.cl"

/// partials[g] = sum of x, or with `squares` 1 of its squares, over `chunk` elements from g chunk
/// on. Global size: LANES times the number of chunks.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
sum_chunks(global const float *x, global float *partials, int count, int chunk, int squares) {
  GROUP_SCRATCH(scratch);
  const int group = get_group_id(0), first = group * chunk, end = min(first + chunk, count);
  REAL sums = (REAL)(0.0f);
#if LANES > 1
  // Many reads are on their way before the first sum.
#pragma unroll 16
#endif
  for (int i = first + (int)get_local_id(0) * WIDTH; i < end; i += LANES * WIDTH) {
    const REAL value = load_lanes(x + i, end - i);
    sums = squares ? fma(value, value, sums) : sums + value;
  }
  const float sum = GROUP_SUM(sum_lanes(sums), scratch);
  if (get_local_id(0) == 0) partials[group] = sum;
}

/// result[0] = scale times the sum of the partials, or with `root` 1 its square root. Global size:
/// LANES.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
sum_partials(global const float *partials, global float *result, int count, float scale, int root) {
  GROUP_SCRATCH(scratch);
  float sum = 0.0f;
#if LANES > 1
#pragma unroll 4
#endif
  for (int i = get_local_id(0); i < count; i += LANES) sum += partials[i];
  sum = GROUP_SUM(sum, scratch);
  if (get_local_id(0) == 0) result[0] = scale * (root ? sqrt(sum) : sum);
}
