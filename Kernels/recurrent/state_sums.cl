// The gradients of weights that belong to one hidden unit each: peepholes and diagonal recurrences.
//
// Also the states before each step as a matrix, for products that read them, and the padding of y.
//
// Parameters:
//   LANES      work-items of a work-group of state_sums, 1 on CPU devices.
//   ELEMENTS   units of a work-item that copies, a multiple of WIDTH.

#include "recurrent/states.cl"

#ifndef LANES
#define LANES 1
#endif
#ifndef ELEMENTS
#define ELEMENTS WIDTH
#endif

/// result[g H + unit] = sum over all sequences and the `steps` steps from g steps on of gates[t, n,
/// slot, unit], a row every `gates_stride`, times the state before step t, or with `current` 1 the
/// state at it. `states` are hidden or cell states, whose rows are `stride` apart from `offset` on,
/// `initial` [N, H] those before the first step, null for zeros. Global size: H in vectors, rounded
/// up to LANES, ranges of steps.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
state_sums(global const float *gates, global const float *states, int stride, int offset,
           global const float *initial, global const int *lengths, global float *result,
           int result_offset, int slot, int gates_stride, int T, int N, int H, int reverse,
           int current, int steps) {
  const int unit = get_global_id(0) * WIDTH, count = min(WIDTH, H - unit);
  const int range = get_global_id(1), first = range * steps;
  if (unit >= H) return;
  states += offset;
  const States all = {states, initial, lengths, stride, H, T, N, reverse};
  REAL total = (REAL)(0.0f);
  for (int t = first; t < min(first + steps, T); ++t) {
    REAL partial = (REAL)(0.0f);
    for (int n = 0; n < N; ++n) {
      if (!is_active(lengths, t, n)) continue;
      global const float *state = states + ((size_t)t * N + n) * stride;
      if (!current) state = state_before(&all, t, n);
      if (!state) continue;
      global const float *gate = gates + ((size_t)t * N + n) * gates_stride + slot * H;
      partial = fma(load_lanes(gate + unit, count), load_lanes(state + unit, count), partial);
    }
    total += partial;
  }
  store_lanes(total, result + result_offset + (size_t)range * H + unit, count);
}

/// result[t, n, :] = the hidden state before step t, of y, whose rows are `stride` apart from
/// `offset` on. Global size: ceil(H / ELEMENTS), T times N.
kernel void
gather_states(global const float *y, int stride, int offset, global const float *initial,
              global const int *lengths, global float *result, int T, int N, int H, int reverse) {
  const int row = get_global_id(1), first = get_global_id(0) * ELEMENTS;
  const int end = min(first + ELEMENTS, H);
  const States all = {y + offset, initial, lengths, stride, H, T, N, reverse};
  global const float *state = state_before(&all, row / N, row % N);
  result += (size_t)row * H;
  for (int unit = first; unit < end; unit += WIDTH) {
    const REAL value = state ? load_lanes(state + unit, end - unit) : (REAL)(0.0f);
    store_lanes(value, result + unit, end - unit);
  }
}

/// y = 0 past each sequence's length, in rows that are `stride` apart from `offset` on. Global
/// size: P, N, T.
kernel void
clear_padding(global float *y, int stride, int offset, global const int *lengths, int N) {
  const int unit = get_global_id(0), n = get_global_id(1), t = get_global_id(2);
  if (t >= lengths[n]) y[((size_t)t * N + n) * stride + offset + unit] = 0.0f;
}

/// result[t, n, :] = x[t, n, :], whose rows are `stride` apart from `offset` on, of the steps that
/// sequence n has, 0 past its length, whatever x holds there. Global size: ceil(C / ELEMENTS), T
/// times N.
kernel void copy_rows(global const float *x, int stride, ulong offset, global const int *lengths,
                      global float *result, int N, int C) {
  const int row = get_global_id(1), first = get_global_id(0) * ELEMENTS;
  const int end = min(first + ELEMENTS, C), active = is_active(lengths, row / N, row % N);
  x += offset + (size_t)row * stride;
  result += (size_t)row * C;
  for (int i = first; i < end; i += WIDTH) {
    const REAL value = active ? load_lanes(x + i, end - i) : (REAL)(0.0f);
    store_lanes(value, result + i, end - i);
  }
}
