// The sums of a matrix's columns, for GPUs.

// Columns of one work-group of column_sums, and the rows that it reads at once.
#define SUM_COLUMNS 32
#define SUM_ROWS 8

/// sums[g N + n] and the first `count2` of sums2[offset2 + n], where not null, = sum of a[offset +
/// m stride + n] over the `range` rows from g range on; g is 0 where sums2 is not null. Global
/// size: columns rounded up to SUM_COLUMNS, SUM_ROWS times the number of ranges.
kernel __attribute__((reqd_work_group_size(SUM_COLUMNS, SUM_ROWS, 1))) void
column_sums(global const float *a, global float *sums, global float *sums2, int M, int N,
            int stride, int offset, int offset2, int count2, int range) {
  local float parts[SUM_ROWS][SUM_COLUMNS];
  const int n = get_global_id(0), x = get_local_id(0), y = get_local_id(1);
  const int first = get_group_id(1) * range, end = min(first + range, M);
  float part = 0.0f;
  if (n < N) {
#pragma unroll 4
    for (int m = first + y; m < end; m += SUM_ROWS) part += a[offset + (size_t)m * stride + n];
  }
  parts[y][x] = part;
  barrier(CLK_LOCAL_MEM_FENCE);
  if (y > 0 || n >= N) return;
  float total = 0.0f;
  for (int i = 0; i < SUM_ROWS; ++i) total += parts[i][x];
  if (sums) sums[(size_t)get_group_id(1) * N + n] = total;
  if (sums2 && n < count2) sums2[offset2 + n] = total;
}
