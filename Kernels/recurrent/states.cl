// Which step comes before which, in either direction and for sequences of any length, and which
// sequences a slice of the batch has.
//
// A forward layer comes to step t from t - 1, a reverse one from t + 1; before a sequence's first
// step is the initial state. `lengths` [N] may be null: every sequence then has T steps.

#include "common/vector.cl"

/// Whether sequence n has step t.
INLINE int is_active(global const int *lengths, int t, int n) { return !lengths || t < lengths[n]; }

/// Whether sequence n begins with step t.
INLINE int is_first(global const int *lengths, int t, int n, int T, int reverse) {
  return reverse ? t + 1 >= (lengths ? lengths[n] : T) : t == 0;
}

/// Row n of the states before step t, of y, whose rows are `stride` apart, or of `initial` [N, H];
/// null means zeros.
INLINE global const float *
state_before(global const float *y, int stride, global const float *initial,
             global const int *lengths, int t, int n, int T, int N, int H, int reverse) {
  if (is_first(lengths, t, n, T, reverse)) return initial ? initial + (size_t)n * H : 0;
  return y + ((size_t)(reverse ? t + 1 : t - 1) * N + n) * stride;
}

/// The first row of a slice of the batch.
INLINE int slice_begin(int slice, int slices, int N) {
  return slice * (N / slices) + min(slice, N % slices);
}
