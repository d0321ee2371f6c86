package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/examples/desktop/internal/bridge"
	"github.com/huisclos/huisclos/examples/desktop/internal/spool"
	"github.com/huisclos/huisclos/meet"
)

// codeError is an error that already has the page's code.
type codeError struct{ failure }

// Error is the code.
func (e *codeError) Error() string { return string(e.Code) }

// Answer is what an upload is answered with.
func (e *codeError) Answer() any {
	return struct {
		Error failure `json:"error"`
	}{e.failure}
}

func fail(c code) error { return &codeError{failure{Code: c}} }

func failAbout(c code, limit int64) error { return &codeError{failure{Code: c, Limit: limit}} }

// codes are those of errors that need nothing beside.
var codes = []struct {
	err  error
	code code
}{
	{meet.ErrLeft, left}, {meet.ErrClosed, left}, {meet.ErrNoSuchMember, noSuchMember}, {meet.ErrNobodyKnocks, nobodyKnocks},
	{meet.ErrNotAgreed, notAgreed}, {meet.ErrUnsupportedTrack, unsupportedTrack}, {meet.ErrTooManyTracks, tooMany},
	{meet.ErrNotPermitted, notPermitted}, {meet.ErrTooLong, tooLong}, {meet.ErrNotText, notText},
	{meet.ErrNotConnected, notConnected}, {meet.ErrComparing, comparing}, {meet.ErrComparison, comparisonFailed},
	{meet.ErrIsolated, isolated}, {meet.ErrResumedElsewhere, resumedElsewhere}, {meet.ErrAdmissionVoid, admissionVoid},
	{crypto.ErrName, badName}, {bridge.ErrOffer, badRequest}, {bridge.ErrBusy, busy}, {bridge.ErrClosed, canceled},
	{meet.ErrFileGone, noSuchFile}, {meet.ErrFileTooLarge, tooLong}, {meet.ErrFileBusy, tooMany}, {meet.ErrFileName, badRequest},
	{meet.ErrFileContent, fileDamaged}, {meet.ErrFileUnreadable, fileDamaged}, {meet.ErrFileCancelled, canceled}, {spool.ErrDamaged, fileDamaged},
	{os.ErrClosed, canceled}, {meet.ErrNoRecording, canceled}, {meet.ErrTooManyRecordings, tooMany},
	{meet.ErrNoLAN, noLAN}, {meet.ErrOutsideLAN, outsideLAN}, {meet.ErrNoRelay, needsRelay}, {meet.ErrRelayClock, relayClock}, {meet.ErrRelayAway, relayAway},
	{meet.ErrNoCommonRelay, noCommonRelay}, {meet.ErrNoRendezvous, noWayToFind}, {meet.ErrTooManyRelays, tooMany},
	{context.DeadlineExceeded, timeout}, {context.Canceled, canceled}, {io.ErrUnexpectedEOF, canceled},
}

var denials = map[meet.DenyReason]code{
	meet.DeniedByHost: deniedByHost, meet.DeniedLocked: deniedLocked, meet.DeniedLink: deniedLink, meet.DeniedBanned: deniedBanned,
	meet.DeniedNoHost: deniedNoHost, meet.DeniedEnded: deniedEnded, meet.DeniedBusy: deniedBusy, meet.DeniedRemoved: deniedRemoved,
	meet.DeniedExpired: linkExpired,
}

var replyFailures = map[meet.ReplyReason]code{
	meet.ReplyUnreadable: replyUnreadable, meet.ReplyForeign: replyForeign, meet.ReplyExpired: replyExpired, meet.ReplyUnreachable: replyUnreachable,
}

// failureOf translates an error for the page. It never is nil for one.
func failureOf(err error) *failure {
	var coded *codeError
	var removedErr *meet.RemovedError
	var ended *meet.EndedError
	var denied *meet.DeniedError
	var impostorErr *meet.ImpostorError
	var expired *meet.InviteExpiredError
	var invalid *meet.InviteError
	var void *meet.VoidError
	var unreachableErr *meet.UnreachableError
	var followed *meet.ReplyError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &coded):
		return &coded.failure
	case errors.As(err, &removedErr):
		c := removed
		if removedErr.Banned {
			c = banned
		}
		return &failure{Code: c, By: cleanName(removedErr.ByName)}
	case errors.As(err, &ended):
		return &failure{Code: endedByHost, By: cleanName(ended.ByName)}
	case errors.As(err, &denied):
		if denied.Apart > 0 {
			return &failure{Code: deniedClock}
		}
		if c, ok := denials[denied.Reason]; ok {
			return &failure{Code: c}
		}
		return &failure{Code: deniedByHost}
	case errors.As(err, &impostorErr):
		return &failure{Code: impostor}
	case errors.As(err, &expired):
		return &failure{Code: linkExpired}
	case errors.As(err, &invalid):
		return &failure{Code: badLink}
	case errors.Is(err, meet.ErrTooOften):
		return &failure{Code: rateLimited, Seconds: 5}
	case errors.Is(err, meet.ErrContact):
		return &failure{Code: tooMany, Limit: maxContacts}
	case errors.As(err, &void):
		return &failure{Code: notPermitted, Detail: void.Error()}
	case errors.As(err, &followed):
		if c, ok := replyFailures[followed.Reason]; ok {
			return &failure{Code: c}
		}
		return &failure{Code: replyUnreadable}
	case errors.As(err, &unreachableErr):
		switch {
		case errors.Is(err, meet.ErrNotPunched):
			return &failure{Code: routersApart}
		case unreachableErr.Neither:
			return &failure{Code: neitherSide}
		case errors.Is(err, meet.ErrNoRendezvous):
			return &failure{Code: noWayToFind}
		case errors.Is(err, meet.ErrNotFound):
			return &failure{Code: notFound}
		}
		return &failure{Code: unreachable}
	}
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return &failure{Code: c.code}
		}
	}
	var disk *fs.PathError
	if errors.As(err, &disk) {
		return &failure{Code: storeWrite, Detail: disk.Err.Error()} // not where
	}
	return &failure{Code: internal, Detail: err.Error()}
}
