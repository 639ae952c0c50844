package topic

import "strconv"

// TextBytes estimates the memory that a text of n bytes uses, as the allocator
// rounds it.
func TextBytes(n int) int { return (n+15)&^15 + n/16 }

// The memory of a tree's parts, without texts and without the caller's values.
// An edge is an element of a list or a map that has room to grow: five words.
const edgeBytes = 5 * strconv.IntSize / 8

// slack returns the memory of a list with n bytes of elements and room to grow.
func slack(n int) int { return n + n/2 }

// roomy reports whether a list or map has so much more room than it needs that
// it should be reallocated. Otherwise memory that a tree no longer needs would
// stay in use uncounted.
func roomy(n, room int) bool { return room > 32 && n < room/4 }
