// The vector type REAL of WIDTH floats, and access to rows that end within a vector.
//
// Kernels for CPU devices work on vectors of the device's native width; kernels for GPUs on single
// floats, WIDTH 1. Functions written with REAL serve both.
//
// Parameters:
//   WIDTH   floats in a vector: 1, 4, 8 or 16.

#ifndef WIDTH
#define WIDTH 16
#endif

#define INLINE static inline __attribute__((always_inline, unused))
/// A function that stays one, of which a program has one copy. PoCL puts a kernel's code into each
/// of the three functions that it makes of it, but only calls what is called here, as long as that
/// asks for no id and has no barrier: most of a kernel belongs in such a function.
#define OUTLINE static __attribute__((noinline, unused))

#if WIDTH == 1
#define REAL float
#define INTEGER int
#define AS_REAL as_float
#define AS_INTEGER as_int
#define VLOAD(offset, pointer) ((pointer)[offset])
#define VSTORE(value, offset, pointer) ((pointer)[offset] = (value))
#else
#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#define REAL JOIN(float, WIDTH)
#define INTEGER JOIN(int, WIDTH)
#define AS_REAL JOIN(as_float, WIDTH)
#define AS_INTEGER JOIN(as_int, WIDTH)
#define VLOAD JOIN(vload, WIDTH)
#define VSTORE JOIN(vstore, WIDTH)
#endif

/// 0, 1, 2 and so on.
#if WIDTH == 16
#define LANE_NUMBERS ((INTEGER)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#elif WIDTH == 8
#define LANE_NUMBERS ((INTEGER)(0, 1, 2, 3, 4, 5, 6, 7))
#elif WIDTH == 4
#define LANE_NUMBERS ((INTEGER)(0, 1, 2, 3))
#else
#define LANE_NUMBERS 0
#endif

/// A vector anywhere in memory.
typedef REAL Unaligned __attribute__((aligned(4)));

/// Reads or writes a vector at once: PoCL's vload and vstore do it in parts, which compile slowly.
INLINE REAL load_vector(global const float *source) { return *(global const Unaligned *)source; }
INLINE void store_vector(REAL value, global float *destination) {
  *(global Unaligned *)destination = value;
}

/// Whether the compiler is Clang and makes code for a processor itself, so that its own functions
/// for CPUs can be used.
#if WIDTH > 1 && defined(__clang__) && !defined(__SPIR__) && !defined(__SPIR64__)
#define IS_PROCESSOR 1
#else
#define IS_PROCESSOR 0
#endif

/// Asks for a line of memory before it is read or written, which changes no result: what is called
/// to fetch in these files. PoCL's prefetch does nothing. Without it gemm and
/// the steps of an LSTM T50 N32 C20 H128 take 7 % longer, the steps back 8 % (Zen 4, minima of 5
/// turns).
INLINE void fetch(global const float *source) {
#if IS_PROCESSOR
  __builtin_prefetch((const void *)(size_t)source);
#else
  prefetch(source, 1);
#endif
}

/// The same into the second cache alone.
INLINE void fetch_second(global const float *source) {
#if IS_PROCESSOR
  __builtin_prefetch((const void *)(size_t)source, 0, 2);
#endif
}

/// The first `count` floats from `source` on, zeros in the other lanes.
INLINE REAL load_lanes(global const float *source, int count) {
  if (count >= WIDTH) return load_vector(source);
  float lanes[WIDTH];
  for (int lane = 0; lane < WIDTH; ++lane) lanes[lane] = lane < count ? source[lane] : 0.0f;
  return VLOAD(0, lanes);
}

/// Writes the first `count` lanes from `destination` on.
INLINE void store_lanes(REAL value, global float *destination, int count) {
  if (count >= WIDTH) {
    store_vector(value, destination);
    return;
  }
  float lanes[WIDTH];
  VSTORE(value, 0, lanes);
  for (int lane = 0; lane < count; ++lane) destination[lane] = lanes[lane];
}

/// The first `count` lanes, zeros in the others.
INLINE REAL first_lanes(REAL value, int count) {
  if (count >= WIDTH) return value;
  float lanes[WIDTH];
  VSTORE(value, 0, lanes);
  for (int lane = count; lane < WIDTH; ++lane) lanes[lane] = 0.0f;
  return VLOAD(0, lanes);
}

/// The sum of the lanes, in their order.
INLINE float sum_lanes(REAL value) {
  float lanes[WIDTH];
  VSTORE(value, 0, lanes);
  float sum = lanes[0];
  for (int lane = 1; lane < WIDTH; ++lane) sum += lanes[lane];
  return sum;
}
