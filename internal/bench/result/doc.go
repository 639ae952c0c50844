// Package result holds the measurements of a benchmark: operations and their
// histograms, counters, the header in payloads by which deliveries are checked, the
// check itself, result files, and their exact merge.
//
// A [Recorder] belongs to one loop and takes a few nanoseconds per value. Once a second
// a collector takes what the loops recorded and adds it up to an [Interval], which a
// [Writer] appends to the result file. [Read] returns it as a [Result], and [Merge]
// adds up the results of the shards of one run.
//
// # Time
//
// All times are [time.Duration] since the epoch, the start of the shard's run, on its
// monotonic clock. The wall-clock time of the epoch is in [Shard.Epoch].
//
// # Latencies
//
// Latencies are kept in HDR histograms of one layout: microseconds, 1 us to 300 s,
// three significant digits. No value is dropped: see [Recorder.Record].
package result
