// The gated recurrent unit with the reset gate after the recurrent product, gates in the order r,
// z, n:
//
//   r, z = sigmoid(x W^T + b + h' R^T)    n = tanh(x W^T + b + r q),  q = h' R^T + b_hh
//   h = (1 - z) n + z h'
//
// Cho et al. 2014, as cuDNN and PyTorch have it. q keeps a slot of its own: the gradient of the
// recurrent product of n differs from that of its input product by the factor r.
//
// The functions and constants that every cell offers to the strategies are described in lstm.cl.
//
// Assumes activation.cl before it.

#define GATES 3
#define SLOTS 4
#define HAS_CELL_STATE 0
#define HAS_DIRECT_PATH 1
enum { SLOT_R, SLOT_Z, SLOT_N, SLOT_Q };
#define RECURRENT_SLOT(gate) ((gate) == SLOT_N ? SLOT_Q : (gate))

INLINE REAL cell_forward(REAL slots[SLOTS], REAL h_before, REAL *c, Peepholes p) {
  const REAL r = ACTIVATE(0, slots[SLOT_R]), z = ACTIVATE(1, slots[SLOT_Z]);
  const REAL n = ACTIVATE(2, fma(r, slots[SLOT_Q], slots[SLOT_N]));
  slots[SLOT_R] = r;
  slots[SLOT_Z] = z;
  slots[SLOT_N] = n;
  return fma(z, h_before - n, n);
}

INLINE void cell_backward(REAL slots[SLOTS], REAL h_before, REAL c_before, REAL c, REAL dh,
                          REAL *dc, REAL *direct, Peepholes p) {
  const REAL r = slots[SLOT_R], z = slots[SLOT_Z], n = slots[SLOT_N];
  const REAL dn = dh * ((REAL)(1.0f) - z) * SLOPE(2, n);
  slots[SLOT_R] = dn * slots[SLOT_Q] * SLOPE(0, r);
  slots[SLOT_Z] = dh * (h_before - n) * SLOPE(1, z);
  slots[SLOT_N] = dn;
  slots[SLOT_Q] = dn * r;
  *direct = dh * z;
}
