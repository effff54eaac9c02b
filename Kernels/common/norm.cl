// Layer normalisation of one row by the work-items of a group: v^ = (v - mean v) rstd, with the
// rstd = 1 / sqrt(var v + 1e-5), 1 / standard deviation. Ba, Kiros & Hinton 2016.
//
// A row is [gates, H]. A work-item takes the same units of every gate here and in the functions
// that call these, so that it reads from memory only what it wrote itself.

#include "common/group.cl"

#define EACH_UNIT(unit, H) for (int unit = LANE * WIDTH; unit < (H); unit += LANES * WIDTH)

#if LANES == 1
#define SCRATCH_PARAMETER
#define SCRATCH(name)
#else
#define SCRATCH_PARAMETER , local float *scratch
#define SCRATCH(name) , name
#endif

/// The row becomes its v^; returns rstd.
INLINE float normalize(global float *row, int gates, int H SCRATCH_PARAMETER) {
  const float scale = 1.0f / (float)(gates * H);
  REAL sums = (REAL)(0.0f);
  for (int gate = 0; gate < gates; ++gate) {
    EACH_UNIT(unit, H) sums += load_lanes(row + gate * H + unit, H - unit);
  }
  const REAL mean = (REAL)(scale * GROUP_SUM(sum_lanes(sums), scratch));
  REAL squares = (REAL)(0.0f);
  for (int gate = 0; gate < gates; ++gate) {
    EACH_UNIT(unit, H) {
      const REAL v = first_lanes(load_lanes(row + gate * H + unit, H - unit) - mean, H - unit);
      squares = fma(v, v, squares);
    }
  }
  const float variance = scale * GROUP_SUM(sum_lanes(squares), scratch);
  const float rstd = 1.0f / sqrt(variance + 1e-5f);
  for (int gate = 0; gate < gates; ++gate) {
    EACH_UNIT(unit, H) {
      global float *at = row + gate * H + unit;
      store_lanes((load_lanes(at, H - unit) - mean) * (REAL)(rstd), at, H - unit);
    }
  }
  return rstd;
}

/// From the gradient of gain v^ + bias to that of v; `rstd` is what normalize returned.
INLINE void normalize_backward(global const float *gradient, global const float *normalized,
                               global const float *gain, float rstd, global float *result,
                               int gates, int H SCRATCH_PARAMETER) {
  const float scale = 1.0f / (float)(gates * H);
  REAL sums = (REAL)(0.0f), products = (REAL)(0.0f);
  for (int gate = 0; gate < gates; ++gate) {
    EACH_UNIT(unit, H) {
      const int i = gate * H + unit, count = H - unit;
      const REAL g = load_lanes(gradient + i, count) * load_lanes(gain + i, count);
      sums += g;
      products = fma(g, load_lanes(normalized + i, count), products);
    }
  }
  const REAL mean = (REAL)(scale * GROUP_SUM(sum_lanes(sums), scratch));
  REAL product = (REAL)(scale * GROUP_SUM(sum_lanes(products), scratch));
  // The v^ of two numbers are a and -a: of their gradients 1 - a^2 is left, which is known exactly.
  if (gates * H == 2) {
    product = (REAL)(0.0f);
    rstd *= 1e-5f * rstd * rstd;
  }
  for (int gate = 0; gate < gates; ++gate) {
    EACH_UNIT(unit, H) {
      const int i = gate * H + unit, count = H - unit;
      const REAL g = load_lanes(gradient + i, count) * load_lanes(gain + i, count);
      const REAL v = g - mean - load_lanes(normalized + i, count) * product;
      store_lanes(v * (REAL)(rstd), result + i, count);
    }
  }
}
