// The order in which the slices of a batch hold sequences of different lengths.
//
//   order_rows   the order for all slices.

#include "recurrent/states.cl"

/// The sequences by length, one to each slice in turn; each slice has its longest first. `counts`
/// has T + 2 elements. Global size: 1.
kernel __attribute__((reqd_work_group_size(1, 1, 1))) void
order_rows(global const int *lengths, global int *order, global int *counts, int N, int T,
           int slices) {
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
  }
}
