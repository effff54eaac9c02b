// The gated recurrent unit, gates in the order r, z, n; q = h' R^T + b_hh:
//
//   r, z = sigmoid(x W^T + b + q)    n = tanh(x W^T + b + r q)    h = (1 - z) n + z h'
//
// with the reset gate after the recurrent product, as cuDNN and PyTorch have it: q_n keeps a slot
// of its own, for the gradient of the recurrent product of n differs from that of its input product
// by the factor r. With the reset gate before the product (Cho et al. 2014, ONNX's default)
// n = tanh(x W^T + b + (r h') R^T), and a strategy adds the product to the sum of n between the
// halves of the step; those of the step back are cell_new_backward and cell_reset_backward.
//
// The functions and constants that every cell offers to the strategies are described in lstm.cl.
//
// Parameters:
//   RESET_BEFORE   1: the reset gate before the product.

#include "common/activation.cl"

#ifndef RESET_BEFORE
#define RESET_BEFORE 0
#endif

#define GATES 3
#define NORM_FIRST 2
#define MEMORIES 0
#define HAS_DIRECT_PATH 1
enum { SLOT_R, SLOT_Z, SLOT_N, SLOT_Q };

#if RESET_BEFORE
#define SLOTS 3
#define RECURRENT_SLOT(gate) (gate)
#else
#define SLOTS 4
#define RECURRENT_SLOT(gate) ((gate) == SLOT_N ? SLOT_Q : (gate))
#endif

INLINE void cell_gates(REAL slots[SLOTS], REAL *c, Peepholes p) {
  slots[SLOT_R] = ACTIVATE(0, slots[SLOT_R]);
  slots[SLOT_Z] = ACTIVATE(1, slots[SLOT_Z]);
}

INLINE REAL cell_output(REAL slots[SLOTS], REAL h_before, const REAL *c) {
#if !RESET_BEFORE
  slots[SLOT_N] = fma(slots[SLOT_R], slots[SLOT_Q], slots[SLOT_N]);
#endif
  slots[SLOT_N] = ACTIVATE(2, slots[SLOT_N]);
  return fma(slots[SLOT_Z], h_before - slots[SLOT_N], slots[SLOT_N]);
}

#if RESET_BEFORE
/// The gradients of the sums of z and n, and the direct path's.
INLINE void cell_new_backward(REAL slots[SLOTS], REAL h_before, REAL dh, REAL *direct) {
  const REAL z = slots[SLOT_Z], n = slots[SLOT_N];
  slots[SLOT_Z] = dh * ((h_before - n) * SLOPE(1, z));
  slots[SLOT_N] = dh * ((REAL)(1.0f) - z) * SLOPE(2, n);
  *direct = dh * z;
}

/// The gradient of the sum of r, from that of r h'; returns the gradient of h' on that path.
INLINE REAL cell_reset_backward(REAL slots[SLOTS], REAL h_before, REAL gradient) {
  const REAL r = slots[SLOT_R];
  slots[SLOT_R] = gradient * (h_before * SLOPE(0, r));
  return gradient * r;
}
#else
INLINE void cell_backward(REAL slots[SLOTS], REAL h_before, const REAL *c_before, const REAL *c,
                          REAL dh, REAL *dc, REAL *direct, Peepholes p) {
  const REAL r = slots[SLOT_R], z = slots[SLOT_Z], n = slots[SLOT_N];
  const REAL dn = dh * ((REAL)(1.0f) - z) * SLOPE(2, n);
  slots[SLOT_R] = dn * (slots[SLOT_Q] * SLOPE(0, r));
  slots[SLOT_Z] = dh * ((h_before - n) * SLOPE(1, z));
  slots[SLOT_N] = dn;
  slots[SLOT_Q] = dn * r;
  *direct = dh * z;
}
#endif
