// What the device can do at most, measured: fused multiply-adds from registers alone, and a copy.
//
// Parameters:
//   CHAINS   independent chains of multiply-adds in one work-item.

#include "common/vector.cl"

#ifndef CHAINS
#define CHAINS 12
#endif

/// `iterations` times CHAINS multiply-adds of WIDTH lanes in each work-item: 2 CHAINS WIDTH
/// iterations floating-point operations. `result` has room for every work-item's WIDTH lanes.
kernel void peak_multiply_add(global float *result, int iterations, float x) {
  REAL chains[CHAINS];
#pragma unroll
  for (int i = 0; i < CHAINS; ++i) chains[i] = (REAL)((float)(i + get_global_id(0)) + x);
  const REAL factor = (REAL)(x * 0.999f), summand = (REAL)(x * 1e-9f);
  for (int k = 0; k < iterations; ++k) {
#pragma unroll
    for (int i = 0; i < CHAINS; ++i) chains[i] = fma(chains[i], factor, summand);
  }
  REAL sum = (REAL)(0.0f);
#pragma unroll
  for (int i = 0; i < CHAINS; ++i) sum += chains[i];
  store_vector(sum, result + get_global_id(0) * WIDTH);
}

/// y[i] = x[i], `vectors` vectors of each work-item, neighbours apart by the global size where
/// WIDTH is 1 and each work-item by itself otherwise.
kernel void peak_copy(global const float *x, global float *y, int vectors) {
#if WIDTH == 1
  const size_t items = get_global_size(0);
  for (int i = 0; i < vectors; ++i)
    y[i * items + get_global_id(0)] = x[i * items + get_global_id(0)];
#else
  const size_t first = get_global_id(0) * (size_t)vectors;
  for (size_t i = first; i < first + vectors; ++i) {
    store_vector(load_vector(x + i * WIDTH), y + i * WIDTH);
  }
#endif
}
