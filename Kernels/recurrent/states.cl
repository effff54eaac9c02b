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

/// The states after each step, in rows that are `stride` apart, and those before the first,
/// `initial` [N, width], null for zeros.
typedef struct {
  global const float *rows, *initial;
  global const int *lengths;
  int stride, width, T, N, reverse;
} States;

/// The state of sequence n before step t; null means zeros.
INLINE global const float *state_before(const States *states, int t, int n) {
  if (is_first(states->lengths, t, n, states->T, states->reverse)) {
    return states->initial ? states->initial + (size_t)n * states->width : 0;
  }
  return states->rows +
         ((size_t)(states->reverse ? t + 1 : t - 1) * states->N + n) * states->stride;
}

/// The first row of a slice of the batch.
INLINE int slice_begin(int slice, int slices, int N) {
  return slice * (N / slices) + min(slice, N % slices);
}
