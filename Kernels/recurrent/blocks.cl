// A block-diagonal weight_hh [G, K, H/K, P/K] as the matrix [G H, P] that it stands for, and back.
//
// Global size of both kernels: P, G H.

/// The row of block weights that row (gate, unit) of the matrix has, and in `first` its first
/// state.
inline size_t block_row(int row, int H, int units, int states, int *first) {
  *first = row % H / units * states;
  return (size_t)row * states;
}

/// dense[row, state] = the weight between them, 0 outside the row's block.
kernel void expand_blocks(global const float *blocks, global float *dense, int H, int P, int units,
                          int states) {
  const int state = get_global_id(0), row = get_global_id(1);
  int first;
  const size_t offset = block_row(row, H, units, states, &first);
  const int inside = state >= first && state < first + states;
  dense[(size_t)row * P + state] = inside ? blocks[offset + state - first] : 0.0f;
}

/// The weights inside the blocks alone.
kernel void gather_blocks(global const float *dense, global float *blocks, int H, int P, int units,
                          int states) {
  const int state = get_global_id(0), row = get_global_id(1);
  int first;
  const size_t offset = block_row(row, H, units, states, &first);
  if (state >= first && state < first + states) {
    blocks[offset + state - first] = dense[(size_t)row * P + state];
  }
}
