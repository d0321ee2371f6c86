package meet

import (
	"io"

	"github.com/pion/interceptor/pkg/cc"
	"github.com/pion/interceptor/pkg/gcc"
	"github.com/pion/logging"

	"github.com/huisclos/huisclos/transport"
)

// What a link is taken to carry, in bit/s: at first, so that there is a cap from the first packet, and at least and at
// most, whatever is measured.
const (
	firstBitrate = 1_000_000
	leastBitrate = 50_000
	mostBitrate  = 8_000_000
)

// quietLoggers log nothing, whatever the environment asks pion for.
var quietLoggers = &logging.DefaultLoggerFactory{Writer: io.Discard, DefaultLogLevel: logging.LogLevelDisabled}

// estimateBandwidth makes what estimates, for each link, how much it can carry (LinkStats.TargetBitrate): pion's Google
// congestion control, from the feedback of section 10.3. It holds nothing back: a source that heeds the estimate paces
// itself, and a packet that waits here would wait for the slowest of many links.
func estimateBandwidth(transport.PeerKey) (cc.BandwidthEstimator, error) {
	return gcc.NewSendSideBWE(gcc.SendSideBWEInitialBitrate(firstBitrate), gcc.SendSideBWEMinBitrate(leastBitrate),
		gcc.SendSideBWEMaxBitrate(mostBitrate), gcc.SendSideBWEPacer(gcc.NewNoOpPacer()),
		gcc.WithLoggerFactory(quietLoggers))
}
