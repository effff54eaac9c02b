// Philox4x32-10, a counter-based random number generator.
//
// A block of four 32-bit words is a pure function of a key (the seed) and a counter (stream and
// index), the same function as Sources/CarouselModel/Philox.swift.
// Salmon, Moraes, Dror, Shaw: "Parallel Random Numbers: As Easy as 1, 2, 3", SC'11.

/// The four words of block `index` of `stream` under `seed`.
inline uint4 philox_block(ulong seed, ulong stream, ulong index) {
  uint4 counter = (uint4)((uint)index, (uint)(index >> 32), (uint)stream, (uint)(stream >> 32));
  uint2 key = (uint2)((uint)seed, (uint)(seed >> 32));
  for (int round = 0; round < 10; ++round) {
    const uint left_low = 0xD2511F53u * counter.x, left_high = mul_hi(0xD2511F53u, counter.x);
    const uint right_low = 0xCD9E8D57u * counter.z, right_high = mul_hi(0xCD9E8D57u, counter.z);
    counter =
        (uint4)(right_high ^ counter.y ^ key.x, right_low, left_high ^ counter.w ^ key.y, left_low);
    key += (uint2)(0x9E3779B9u, 0xBB67AE85u);
  }
  return counter;
}
