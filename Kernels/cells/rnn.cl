// The vanilla recurrent cell: h = f(z), z = x W^T + b + h' R^T. Elman 1990.
//
// The functions and constants that every cell offers to the strategies are described in lstm.cl.

#include "common/activation.cl"

#define GATES 1
#define SLOTS 1
#define NORM_FIRST 1
#define MEMORIES 0
#define HAS_DIRECT_PATH 0
#define RECURRENT_SLOT(gate) (gate)

INLINE void cell_gates(REAL slots[SLOTS], REAL *c, Peepholes p) {}

INLINE REAL cell_output(REAL slots[SLOTS], REAL h_before, const REAL *c) {
  slots[0] = ACTIVATE(0, slots[0]);
  return slots[0];
}

INLINE void cell_backward(REAL slots[SLOTS], REAL h_before, const REAL *c_before, const REAL *c,
                          REAL dh, REAL *dc, REAL *direct, Peepholes p) {
  slots[0] = dh * SLOPE(0, slots[0]);
}
