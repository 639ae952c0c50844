package cli

import (
	"context"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// watchPipe closes closed when the pipe f has lost its reader. Windows has no notification
// for that, so watchPipe polls the state of the pipe. It does not write zero bytes, which a
// reader takes for EOF.
func watchPipe(ctx context.Context, f *os.File, closed chan<- struct{}) {
	h, ok := duplicatePipe(f)
	if !ok {
		return
	}
	go func() {
		defer windows.CloseHandle(h)
		tick := time.NewTicker(pipeInterval)
		defer tick.Stop()
		for {
			state, ok := pipeState(h)
			switch {
			case !ok:
				return
			case state == pipeClosing:
				close(closed)
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
}

// pipeInterval is how long it may take to notice that the reader is gone.
const pipeInterval = 200 * time.Millisecond

// duplicatePipe duplicates the handle of a pipe.
func duplicatePipe(f *os.File) (h windows.Handle, ok bool) {
	ok = controls(f, func(orig uintptr) bool {
		if kind, err := windows.GetFileType(windows.Handle(orig)); err != nil || kind != windows.FILE_TYPE_PIPE {
			return false
		}
		self := windows.CurrentProcess()
		return windows.DuplicateHandle(self, windows.Handle(orig), self, &h, 0, false, windows.DUPLICATE_SAME_ACCESS) == nil
	})
	return h, ok
}

// pipeClosing is FILE_PIPE_CLOSING_STATE: the other end is closed.
const pipeClosing = 4

// pipeState queries the state of a pipe, which needs no right to read it. The state of a
// socket is unknown.
func pipeState(h windows.Handle) (state uint32, ok bool) {
	// FILE_PIPE_LOCAL_INFORMATION: type, configuration, maximum and current number of
	// instances, inbound quota, data to read, outbound quota, room to write, state, end.
	var info [10]uint32
	var iosb windows.IO_STATUS_BLOCK
	const filePipeLocalInformation = 24
	err := windows.NtQueryInformationFile(h, &iosb, (*byte)(unsafe.Pointer(&info)), uint32(unsafe.Sizeof(info)), filePipeLocalInformation)
	return info[8], err == nil
}
