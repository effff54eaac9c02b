// The minimal gated recurrent unit, gates in the order z, g, of the input alone:
//
//   z = sigmoid(x W^T + b)    g = x W^T + b    h = (1 - z) h' + z g
//
// Feng et al. 2024. There is no weight_hh. With POSITIVE as the activation of g it is above 0, as
// where the paper computes in log space.
//
// The functions and constants that every cell offers to the strategies are described in lstm.cl.
//
// Activation functions by index: 0 z, 1 g.

#include "common/activation.cl"

#define GATES 2
#define SLOTS GATES
#define NORM_FIRST GATES
#define MEMORIES 0
#define HAS_DIRECT_PATH 1
#define RECURRENT_SLOT(gate) (gate)
enum { SLOT_Z, SLOT_G };

INLINE void cell_gates(REAL slots[SLOTS], REAL *c, Peepholes p) {
  slots[SLOT_Z] = ACTIVATE(0, slots[SLOT_Z]);
  slots[SLOT_G] = ACTIVATE(1, slots[SLOT_G]);
}

INLINE REAL cell_output(REAL slots[SLOTS], REAL h_before, const REAL *c) {
  // An open gate leaves nothing of h', however large it is.
  return fma(slots[SLOT_Z], slots[SLOT_G], ((REAL)(1.0f) - slots[SLOT_Z]) * h_before);
}

INLINE void cell_backward(REAL slots[SLOTS], REAL h_before, const REAL *c_before, const REAL *c,
                          REAL dh, REAL *dc, REAL *direct, Peepholes p) {
  const REAL z = slots[SLOT_Z], g = slots[SLOT_G];
  // A closed gate's slope of 0 comes before what might overflow.
  slots[SLOT_Z] = dh * ((g - h_before) * SLOPE(0, z));
  slots[SLOT_G] = dh * z * SLOPE(1, g);
  *direct = dh * ((REAL)(1.0f) - z);
}
