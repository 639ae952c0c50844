package topic

import "strconv"

// TextBytes is about what a text of so many bytes takes in memory, as the
// allocator rounds it.
func TextBytes(n int) int { return (n+15)&^15 + n/16 }

// What a tree's parts take, besides texts and what the caller puts into it: an
// edge stands in a list or a map that has room to grow: five words.
const edgeBytes = 5 * strconv.IntSize / 8

// slack is what n bytes of a list's elements take with its room to grow.
func slack(n int) int { return n + n/2 }

// roomy reports whether a list or map has so much more room than it needs that a
// new one is worth it: else what a tree once had stays in memory uncounted.
func roomy(n, room int) bool { return room > 32 && n < room/4 }
