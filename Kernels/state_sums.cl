// The gradients of weights that stand for one unit each: peepholes and diagonal recurrences.
// lint: vector.cl states.cl; -D WIDTH=16
// lint: vector.cl states.cl; -D WIDTH=1
//
// Also the states before each step as a matrix, for products that read them, and the padding of y.
//
// Assumes states.cl before it.

/// result[unit] = sum over all steps and sequences of gates[t, n, slot, unit] times the state
/// before step t, or with `current` 1 the state at it. `states` [T, N, H] are hidden or cell
/// states, `initial` [N, H] those before the first step, null for zeros. Global size: H in vectors,
/// rounded up.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
state_sums(global const float *gates, global const float *states, global const float *initial,
           global const int *lengths, global float *result, int result_offset, int slot, int slots,
           int T, int N, int H, int reverse, int current) {
  const int unit = get_global_id(0) * WIDTH, count = min(WIDTH, H - unit);
  REAL total = (REAL)(0.0f);
  for (int t = 0; t < T; ++t) {
    REAL part = (REAL)(0.0f);
    for (int n = 0; n < N; ++n) {
      if (!is_active(lengths, t, n)) continue;
      global const float *state = states + ((size_t)t * N + n) * H;
      if (!current) state = state_before(states, initial, lengths, t, n, T, N, H, reverse);
      if (!state) continue;
      global const float *gate = gates + (((size_t)t * N + n) * slots + slot) * H;
      part = fma(load_lanes(gate + unit, count), load_lanes(state + unit, count), part);
    }
    total += part;
  }
  store_lanes(total, result + result_offset + unit, count);
}

/// result[t, n, :] = the hidden state before step t. Global size: T times N.
kernel void
gather_states(global const float *y, global const float *initial, global const int *lengths,
              global float *result, int T, int N, int H, int reverse) {
  const int row = get_global_id(0);
  global const float *state = state_before(y, initial, lengths, row / N, row % N, T, N, H, reverse);
  for (int unit = 0; unit < H; ++unit) result[(size_t)row * H + unit] = state ? state[unit] : 0.0f;
}

/// y = 0 past each sequence's length. Global size: P, N, T.
kernel void clear_padding(global float *y, global const int *lengths, int N, int P) {
  const int unit = get_global_id(0), n = get_global_id(1), t = get_global_id(2);
  if (t >= lengths[n]) y[((size_t)t * N + n) * P + unit] = 0.0f;
}

/// result[t, n, :] = x[t, n, :] of the steps that sequence n has, 0 past its length, whatever x
/// holds there. Global size: T times N.
kernel void
copy_active(global const float *x, global const int *lengths, global float *result, int N, int C) {
  const size_t row = get_global_id(0);
  const int active = is_active(lengths, row / N, row % N);
  for (int i = 0; i < C; ++i) result[row * C + i] = active ? x[row * C + i] : 0.0f;
}
