// The order in which the slices of a batch hold sequences of different lengths, and the order in
// which the steps of all sequences are summed, which does not depend on the slices.
//
//   order_rows   both.

#include "recurrent/states.cl"

/// Ranked by length, sequences 0, 8, 16 and so on are class 0, 1, 9, 17 class 1 and so on. A step's
/// sums take class after class, so that the sequences of a slice follow each other where there are
/// 2, 4 or 8 slices, and cores seldom write to the same line of memory.
#define CLASSES 8
#define CLASS_ORDER                                                                                \
  { 0, 4, 2, 6, 1, 5, 3, 7 }

/// places[t N + n] receives the number of step t of sequence n among all steps that sequences have:
/// t after t, class after class in it, the longest sequence of a class first. `ranked` are the
/// sequences by length.
INLINE void count_places(global const int *lengths, global const int *ranked, global int *places,
                         int N, int T) {
  const int classes[CLASSES] = CLASS_ORDER;
  int place = 0;
  for (int t = 0; t < T; ++t) {
    for (int i = 0; i < CLASSES; ++i) {
      for (int rank = classes[i]; rank < N && lengths[ranked[rank]] > t; rank += CLASSES) {
        places[t * N + ranked[rank]] = place++;
      }
    }
  }
}

/// `order` [N] receives the sequences by length, one to each slice in turn; each slice has its
/// longest first. Behind it follow the places [T, N] of the steps that sequences have. `counts` has
/// T + 2 + N elements. Global size: 1.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
order_rows(global const int *lengths, global int *order, global int *counts, int N, int T,
           int slices) {
  global int *ranked = counts + T + 2;
  // First how many are longer than t, then where the next of length t goes.
  for (int t = 0; t <= T + 1; ++t) counts[t] = 0;
  for (int n = 0; n < N; ++n) counts[min(lengths[n], T)] += 1;
  int longer = 0;
  for (int t = T; t >= 0; --t) {
    const int count = counts[t];
    counts[t] = longer;
    longer += count;
  }
  for (int n = 0; n < N; ++n) {
    const int t = min(lengths[n], T), rank = counts[t]++;
    order[slice_begin(rank % slices, slices, N) + rank / slices] = n;
    ranked[rank] = n;
  }
  count_places(lengths, ranked, order + N, N, T);
}
