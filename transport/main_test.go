//go:build unix

package transport_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain checks that closed hosts leave no goroutine behind (TRA-15).
func TestMain(m *testing.M) {
	if fanoutChild() {
		return
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			println(err.Error())
			code = 1
		}
	}
	os.Exit(code)
}
