// Philox4x32-10, a counter-based random number generator.
//
// A block of four 32-bit words is a pure function of a key (the seed) and a counter (stream and
// index), the same function as Sources/CarouselModel/Philox.swift.
// Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3", SC'11.

#include "common/vector.cl"

#if WIDTH == 1
#define WORD uint
#define COUNTER ulong
#define AS_WORDS (uint)
#else
#define WORD JOIN(uint, WIDTH)
#define COUNTER JOIN(ulong, WIDTH)
#define AS_WORDS JOIN(convert_uint, WIDTH)
#endif

/// The four words of each of WIDTH blocks of `stream` under `seed`, one block of each lane's
/// `index`.
INLINE void philox_blocks(ulong seed, ulong stream, COUNTER index, WORD words[4]) {
  WORD x = AS_WORDS(index), y = AS_WORDS(index >> 32);
  WORD z = (uint)stream, w = (uint)(stream >> 32);
  uint left_key = (uint)seed, right_key = (uint)(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const WORD left_low = 0xD2511F53u * x, left_high = mul_hi((WORD)0xD2511F53u, x);
    const WORD right_low = 0xCD9E8D57u * z, right_high = mul_hi((WORD)0xCD9E8D57u, z);
    x = right_high ^ y ^ left_key;
    y = right_low;
    z = left_high ^ w ^ right_key;
    w = left_low;
    left_key += 0x9E3779B9u;
    right_key += 0xBB67AE85u;
  }
  words[0] = x;
  words[1] = y;
  words[2] = z;
  words[3] = w;
}
