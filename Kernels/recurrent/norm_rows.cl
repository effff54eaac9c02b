// Layer normalisation of the input products of all steps, and the gradients of gains and biases.
//
// The rows of `rows` are `rows_stride` apart, and `gates` gates of H units from `first_column` on
// are normalised together. The other arrays have rows of `stride` floats, in which these gates
// begin at `first`; `rstd` [M, 2] is 1 / standard deviation, with this group of gates
// at `group`. A work-group serves one row.

#include "common/norm.cl"

/// v = x W^T in `rows` becomes gain v^ + bias; `normalized` receives v^. The bias may be null.
/// Global size: LANES, M.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
norm_forward(global float *rows, global const float *gain, global const float *bias,
             global float *normalized, global float *rstd, int gates, int H, int rows_stride,
             int first_column, int stride, int first, int group) {
  GROUP_SCRATCH(scratch);
  const size_t m = get_group_id(1);
  rows += m * rows_stride + first_column;
  normalized += m * stride + first;
  for (int gate = 0; gate < gates; ++gate) {
    EACH_UNIT(unit, H) {
      store_lanes(load_lanes(rows + gate * H + unit, H - unit), normalized + gate * H + unit,
                  H - unit);
    }
  }
  const float row_rstd = normalize(normalized, gates, H SCRATCH(scratch));
  if (LANE == 0) rstd[2 * m + group] = row_rstd;
  for (int gate = 0; gate < gates; ++gate) {
    EACH_UNIT(unit, H) {
      const int i = gate * H + unit, count = H - unit;
      REAL shift = (REAL)(0.0f);
      if (bias) shift = load_lanes(bias + first + i, count);
      const REAL value = load_lanes(normalized + i, count);
      store_lanes(fma(value, load_lanes(gain + first + i, count), shift), rows + i, count);
    }
  }
}

/// The gradients of v in `result` from those of the sums in `rows`. Global size: LANES, M.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
norm_backward(global const float *rows, global const float *gain, global const float *normalized,
              global const float *rstd, global float *result, int gates, int H, int rows_stride,
              int first_column, int stride, int first, int group) {
  GROUP_SCRATCH(scratch);
  const size_t m = get_group_id(1);
  const size_t i = m * stride + first;
  normalize_backward(rows + m * rows_stride + first_column, normalized + i, gain + first,
                     rstd[2 * m + group], result + i, gates, H SCRATCH(scratch));
}

#if LANES == 1

/// result[result_offset + j] = sum over m of a[m a_stride + a_offset + j], or where `b` is not null
/// of that times b[m b_stride + b_offset + j]. Global size: count in vectors, rounded up.
kernel void column_products(global const float *a, global const float *b, global float *result,
                            int M, int count, int a_stride, int a_offset, int b_stride,
                            int b_offset, int result_offset) {
  const int j = get_global_id(0) * WIDTH, lanes = min(WIDTH, count - j);
  a += a_offset + j;
  REAL total = (REAL)(0.0f);
  for (int m0 = 0; m0 < M; m0 += 64) {
    REAL partial = (REAL)(0.0f);
    for (int m = m0; m < min(m0 + 64, M); ++m) {
      const REAL value = load_lanes(a + (size_t)m * a_stride, lanes);
      partial = b ? fma(value, load_lanes(b + (size_t)m * b_stride + b_offset + j, lanes), partial)
                  : partial + value;
    }
    total += partial;
  }
  store_lanes(total, result + result_offset + j, lanes);
}

#else

// Columns of a work-group, and the rows that it reads at once.
#define SUM_COLUMNS 32
#define SUM_ROWS 8

/// result[result_offset + g count + j] = sum of a[m a_stride + a_offset + j] b[m b_stride +
/// b_offset + j] over the `range` rows m from g range on. Global size: columns rounded up to
/// SUM_COLUMNS, SUM_ROWS times the number of ranges.
kernel __attribute__((reqd_work_group_size(SUM_COLUMNS, SUM_ROWS, 1))) void
column_products(global const float *a, global const float *b, global float *result, int M,
                int count, int a_stride, int a_offset, int b_stride, int b_offset,
                int result_offset, int range) {
  local float partials[SUM_ROWS][SUM_COLUMNS];
  const int j = get_global_id(0), x = get_local_id(0), y = get_local_id(1);
  const int first = get_group_id(1) * range, end = min(first + range, M);
  float partial = 0.0f;
  if (j < count) {
    a += a_offset + j;
    b += b_offset + j;
    for (int m = first + y; m < end; m += SUM_ROWS) {
      partial = fma(a[(size_t)m * a_stride], b[(size_t)m * b_stride], partial);
    }
  }
  partials[y][x] = partial;
  barrier(CLK_LOCAL_MEM_FENCE);
  if (y > 0 || j >= count) return;
  float total = 0.0f;
  for (int i = 0; i < SUM_ROWS; ++i) total += partials[i][x];
  result[result_offset + (size_t)get_group_id(1) * count + j] = total;
}
#endif
