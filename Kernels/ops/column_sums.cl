// The sums of a matrix's columns, for GPUs.

#include "common/vector.cl"

// Columns of one work-group of column_sums, and the rows that it reads at once.
#define SUM_COLUMNS 32
#define SUM_ROWS 8

/// Where column i goes when the columns follow each other from `first` on without those from
/// `skipped` to before `resumed`; -1 for these.
INLINE int target_of(int i, int first, int skipped, int resumed) {
  if (i < skipped) return first + i;
  return i < resumed ? -1 : first + i - (resumed - skipped);
}

/// The sums of a[offset + m stride + n] over the `range` rows m from g range on, to sums[g N +
/// target] and sums2[target], where not null; a column's target is given by target_of, and g is 0
/// where sums2 is not null. Global size: columns rounded up to SUM_COLUMNS, SUM_ROWS times the
/// number of ranges.
kernel __attribute__((reqd_work_group_size(SUM_COLUMNS, SUM_ROWS, 1))) void
column_sums(global const float *a, int M, int N, int stride, int offset, int range,
            global float *sums, int first, int skipped, int resumed, global float *sums2,
            int first2, int skipped2, int resumed2) {
  local float parts[SUM_ROWS][SUM_COLUMNS];
  const int n = get_global_id(0), x = get_local_id(0), y = get_local_id(1);
  const int begin = get_group_id(1) * range, end = min(begin + range, M);
  float part = 0.0f;
  if (n < N) {
#pragma unroll 4
    for (int m = begin + y; m < end; m += SUM_ROWS) part += a[offset + (size_t)m * stride + n];
  }
  parts[y][x] = part;
  barrier(CLK_LOCAL_MEM_FENCE);
  if (y > 0 || n >= N) return;
  float total = 0.0f;
  for (int i = 0; i < SUM_ROWS; ++i) total += parts[i][x];
  const int target = target_of(n, first, skipped, resumed);
  const int target2 = target_of(n, first2, skipped2, resumed2);
  if (sums && target >= 0) sums[(size_t)get_group_id(1) * N + target] = total;
  if (sums2 && target2 >= 0) sums2[target2] = total;
}
