// Embedding: rows of a table chosen by index.
// lint: vector.cl group.cl; -D WIDTH=16 -D LANES=1
// lint: vector.cl group.cl; -D WIDTH=1 -D LANES=64
//
// Layouts: weight [V, E], y [M, E], indices [M]. A work-group serves one row of the result.
//
// Assumes group.cl before it.

/// y[m, :] = weight[indices[m], :]. Global size: LANES, M.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
embedding_forward(global const int *indices, global const float *weight, global float *y, int E) {
  const int m = get_group_id(1);
  global const float *row = weight + (size_t)indices[m] * E;
  y += (size_t)m * E;
  for (int e = get_local_id(0) * WIDTH; e < E; e += LANES * WIDTH) {
    store_lanes(load_lanes(row + e, E - e), y + e, E - e);
  }
}

/// grad_weight[v, :] = sum of grad_y[m, :] over all m with indices[m] = v, in the order of m, so
/// that the sum has the same bits in every run. Global size: LANES, V.
kernel __attribute__((reqd_work_group_size(LANES, 1, 1))) void
embedding_backward(global const int *indices, global const float *grad_y, global float *grad_weight,
                   int M, int E) {
  const int v = get_group_id(1), begin = get_local_id(0) * WIDTH;
  grad_weight += (size_t)v * E;
  for (int e = begin; e < E; e += LANES * WIDTH) {
    store_lanes((REAL)(0.0f), grad_weight + e, E - e);
  }
  for (int m = 0; m < M; ++m) {
    if (indices[m] != v) continue;
    global const float *row = grad_y + (size_t)m * E;
    for (int e = begin; e < E; e += LANES * WIDTH) {
      const REAL sum = load_lanes(grad_weight + e, E - e) + load_lanes(row + e, E - e);
      store_lanes(sum, grad_weight + e, E - e);
    }
  }
}
