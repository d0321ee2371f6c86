package meet

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/huisclos/huisclos/crypto"
	"github.com/huisclos/huisclos/crypto/codec"
	"github.com/huisclos/huisclos/roster"
)

const (
	// MaxFileOffers is how many files a member offers at a time (FIL-8).
	MaxFileOffers = 64
	// defaultFileSize is Config.MaxFileSize's: 4 GiB.
	defaultFileSize = 4 << 30
	// maxUploads and maxUploadsEach bound what is sent at a time, in all and to one member (FIL-8).
	maxUploads     = 16
	maxUploadsEach = 4
)

// FileID names a file that is offered. No two members can offer under the same (FIL-1).
type FileID = crypto.FileID

// FileSource is a file to offer.
type FileSource struct {
	// Name is shown to the others, 1 to 255 bytes of UTF-8. Give the base name alone: a path tells them about this machine.
	Name string
	// Size is in bytes, at most Config.MaxFileSize.
	Size int64
	// Newcomers: whoever comes in later is offered it, too, as long as it lasts (FIL-12). Of no meaning for one person.
	Newcomers bool
	// Content is read in any order and by several goroutines at a time, until WithdrawFile or the meeting's end; it must
	// not change till then, or receivers discard what they got.
	Content io.ReaderAt
}

// FileOffer is a file that a member offers.
type FileOffer struct {
	ID   FileID
	From Member // as they were when they offered it
	// To is whom it is for, zero if for everybody: who was in then, and, if its sender chose so, who came later.
	To crypto.IdentityKey
	// Name is what the sender calls it: anything. Keep it under SafeName.
	Name string
	Size int64       // bytes
	Hash crypto.Hash // SHA-256 of the content
	Time time.Time   // by the sender's clock
}

// files is what is offered and transferred.
type files struct {
	offers    map[FileID]*offeredFile
	uploads   map[uploadKey]*upload
	transfers map[FileID]*FileTransfer
	withdrawn map[crypto.MeetingKey][]FileID // before their offers came
	uplink    *uplink
	asks      uint64 // requests of this member's so far
}

type offeredFile struct {
	FileOffer
	refused bool // by this member
	// Of own ones:
	content   io.ReaderAt
	message   *outgoing
	readers   map[crypto.IdentityKey]bool // to whom it was offered
	told      map[crypto.MeetingKey]bool  // the incarnations that were told of it, or will be
	refusedBy map[crypto.IdentityKey]bool
	asked     map[crypto.MeetingKey]uint64 // the number of the newest request (FIL-13)
	newcomers bool
}

func newFiles() files {
	return files{
		offers: map[FileID]*offeredFile{}, uploads: map[uploadKey]*upload{}, transfers: map[FileID]*FileTransfer{},
		withdrawn: map[crypto.MeetingKey][]FileID{}, uplink: newUplink(),
	}
}

// live are the offers, oldest first.
func (f *files) live() []FileOffer {
	all := make([]*offeredFile, 0, len(f.offers))
	for _, o := range f.offers {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b *offeredFile) int {
		if c := a.Time.Compare(b.Time); c != 0 {
			return c
		}
		return slices.Compare(a.ID[:], b.ID[:])
	})
	offers := make([]FileOffer, len(all))
	for i, o := range all {
		offers[i] = o.FileOffer
	}
	return offers
}

// by counts the live offers of a member.
func (f *files) by(author crypto.MeetingKey) (n int) {
	for _, o := range f.offers {
		if o.From.Key == author {
			n++
		}
	}
	return n
}

func isFileStream(stream uint8) bool {
	return stream == crypto.StreamFile || stream == crypto.StreamPrivateFile
}

// OfferFile offers a file to everybody who is in, or to one person if to isn't zero (SPEC §9.5). It reads all of it, to
// hash it, before it returns. Nothing of the content travels until somebody asks for it with ReceiveFile. Who comes later
// isn't offered it, unless source says so; a restart of this member ends the offer, and nothing is kept. The errors are ErrFileName,
// ErrFileTooLarge, ErrFileBusy, ErrNotPermitted, ErrIsolated, ErrNoSuchMember and what Content fails with.
func (m *Meeting) OfferFile(ctx context.Context, source FileSource, to crypto.IdentityKey) (FileOffer, error) {
	if err := checkFileName(source.Name); err != nil {
		return FileOffer{}, err
	}
	if source.Size < 0 || source.Size > m.config.MaxFileSize {
		return FileOffer{}, ErrFileTooLarge
	}
	if err := command(ctx, m, func() error { return m.mayOffer() }); err != nil {
		return FileOffer{}, err // before the work
	}
	hash, err := hashContent(ctx, source)
	if err != nil {
		return FileOffer{}, err
	}
	return call(ctx, m, func() (FileOffer, error) { return m.offerFile(source, hash, to) })
}

func hashContent(ctx context.Context, source FileSource) (crypto.Hash, error) {
	h := sha256.New()
	r := io.NewSectionReader(source.Content, 0, source.Size)
	n, err := io.Copy(h, readerFunc(func(b []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return r.Read(b)
	}))
	if err == nil && n != source.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return crypto.Hash{}, fmt.Errorf("meet: can't read the file: %w", err)
	}
	return crypto.Hash(h.Sum(nil)), nil
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func (m *Meeting) mayOffer() error {
	if err := m.mayMessage(crypto.StreamFile); err != nil {
		return err
	}
	if m.files.by(m.self.Key()) >= MaxFileOffers {
		return ErrFileBusy
	}
	return nil
}

func (m *Meeting) offerFile(source FileSource, hash crypto.Hash, to crypto.IdentityKey) (FileOffer, error) {
	if err := m.mayOffer(); err != nil {
		return FileOffer{}, err
	}
	readers := m.addressees(recipient(to))
	body := fileAnnounce{Name: source.Name, Size: uint64(source.Size), Hash: &hash}
	message, err := m.announceFile(body, to)
	if err != nil {
		return FileOffer{}, err
	}
	self, _ := m.memberByKey(m.self.Key())
	o := &offeredFile{message: message, content: source.Content, readers: readers, told: map[crypto.MeetingKey]bool{},
		refusedBy: map[crypto.IdentityKey]bool{}, asked: map[crypto.MeetingKey]uint64{}, newcomers: source.Newcomers && to.IsZero(), FileOffer: FileOffer{
			ID: m.fileID(m.self.Key(), message.id), From: self, To: to, Name: source.Name, Size: source.Size, Hash: hash, Time: time.Now(),
		}}
	for who := range readers {
		o.told[m.roster.Member(who).Bundle.MeetingKey] = true
	}
	m.files.offers[o.ID] = o
	return o.FileOffer, nil
}

func recipient(to crypto.IdentityKey) *crypto.IdentityKey {
	if to.IsZero() {
		return nil
	}
	return &to
}

// announceFile sends an announcement as chat is sent: to everybody, or to one person, whom its body then names (FIL-2).
func (m *Meeting) announceFile(a fileAnnounce, to crypto.IdentityKey) (*outgoing, error) {
	if to.IsZero() {
		return m.sendMessage(crypto.StreamFile, encode(a), nil)
	}
	return m.sendMessage(crypto.StreamPrivateFile, append(to[:], encode(a)...), &to)
}

// WithdrawFile ends an own offer, and what is under way of it. The error is ErrFileGone if there is none.
func (m *Meeting) WithdrawFile(ctx context.Context, id FileID) error {
	return command(ctx, m, func() error {
		o := m.files.offers[id]
		if o == nil || o.content == nil {
			return ErrFileGone
		}
		m.dropOffer(o, ErrFileGone)
		// Those who can't be told, because nothing may be sent at present, learn of it when they ask.
		_, err := m.announceFile(fileAnnounce{Withdrawn: &o.message.id}, o.To)
		return err
	})
}

// Files returns the live offers, this member's own too, oldest first.
func (m *Meeting) Files(ctx context.Context) ([]FileOffer, error) {
	return call(ctx, m, func() ([]FileOffer, error) { return m.files.live(), nil })
}

// takesAnnouncement says whether a peer's announcement may be looked at now; what is too much comes again later, as it
// isn't acknowledged (FIL-8).
func (m *Meeting) takesAnnouncement(p *peer, msg crypto.Message) bool {
	s := m.chats.seen[p.key]
	if s != nil && s.ids[msg.ID] {
		return true
	}
	if msg.Stream == crypto.StreamPrivateFile {
		// FIL-2: what is for another isn't even acknowledged.
		self := m.self.Identity()
		if len(msg.Body) < len(self) || crypto.IdentityKey(msg.Body[:len(self)]) != self && !m.config.hooks.anyFileReader {
			m.log.Debug("announcement of a file refused: it is for somebody else")
			return false
		}
	}
	return p.limit.announcements.allow(time.Now(), fileBurst, fileRate)
}

// fileAnnounced takes an announcement that is new, signed, permitted and for us.
func (m *Meeting) fileAnnounced(p *peer, from Member, msg crypto.Message) {
	body, to := msg.Body, crypto.IdentityKey{}
	if msg.Stream == crypto.StreamPrivateFile {
		body, to = body[len(to):], m.self.Identity()
	}
	a, err := decodeAnnounce(body)
	if err != nil && (a.Hash == nil || !m.config.hooks.anyAnnouncement) {
		m.log.Debug("announcement of a file refused", "error", err)
		return
	}
	if a.Withdrawn != nil {
		id := m.fileID(p.key, *a.Withdrawn)
		if o := m.files.offers[id]; o != nil {
			m.dropOffer(o, ErrFileGone)
			return
		}
		early := append(m.files.withdrawn[p.key], id) // it overtook the offer
		m.files.withdrawn[p.key] = early[max(0, len(early)-MaxFileOffers):]
		return
	}
	id := m.fileID(p.key, msg.ID)
	if m.files.by(p.key) >= MaxFileOffers || slices.Contains(m.files.withdrawn[p.key], id) {
		return
	}
	o := &offeredFile{FileOffer: FileOffer{
		ID: id, From: from, To: to, Name: a.Name, Size: int64(a.Size), Hash: *a.Hash, Time: msg.Time,
	}}
	m.files.offers[id] = o
	m.emit(FileOffered{o.FileOffer})
}

// fileID names what a member's message offers (FIL-1).
func (m *Meeting) fileID(author crypto.MeetingKey, message crypto.MessageID) FileID {
	if m.config.hooks.anyFileAuthor {
		author = crypto.MeetingKey{}
	}
	return crypto.FileIDOf(author, message)
}

// decodeAnnounce checks everything FIL-1 asks of an announcement.
func decodeAnnounce(raw []byte) (fileAnnounce, error) {
	var a fileAnnounce
	if err := codec.Unmarshal(raw, crypto.MaxFileBody, &a); err != nil {
		return a, err
	}
	if a.Withdrawn != nil {
		if a.Name != "" || a.Size != 0 || a.Hash != nil {
			return fileAnnounce{}, errNotOne
		}
		return a, nil
	}
	if a.Hash == nil || a.Size > math.MaxInt64/2 {
		return a, ErrFileTooLarge
	}
	return a, checkFileName(a.Name)
}

// dropOffer ends an offer and what is under way of it.
func (m *Meeting) dropOffer(o *offeredFile, err error) {
	delete(m.files.offers, o.ID)
	if t := m.files.transfers[o.ID]; t != nil {
		t.fail(err)
	}
	for key, u := range m.files.uploads {
		if key.file == o.ID {
			m.dropUpload(key, u, err)
		}
	}
	m.emit(FileWithdrawn{o.FileOffer})
}

// filesFollow acts on a new roster: an offer lasts as long as its sender is in with the same keys and may send files, and
// a transfer as long as both are (FIL-7).
func (m *Meeting) filesFollow() {
	for _, o := range m.files.live() {
		r := m.roster.ByMeetingKey(o.From.Key)
		switch {
		case r == nil:
			m.dropOffer(m.files.offers[o.ID], ErrFileGone)
		case m.roster.Policy.Allows(r.Role)&roster.Files == 0 && !m.config.hooks.allPermitted && !m.config.hooks.unpermitted:
			m.dropOffer(m.files.offers[o.ID], ErrNotPermitted)
		}
	}
	m.offerToNewcomers()
	for key, u := range m.files.uploads {
		if !m.allowedReader(key.to) && !m.config.hooks.keepUploads {
			m.dropUpload(key, u, ErrNoSuchMember)
		}
	}
	for author := range m.files.withdrawn {
		if m.roster.ByMeetingKey(author) == nil {
			delete(m.files.withdrawn, author)
		}
	}
}

// filesTick stops what is sent while this member is cut off from every host (PRE-5).
func (m *Meeting) filesTick(time.Time) {
	if m.watch.stopped {
		for _, u := range m.files.uploads {
			u.stop()
		}
	}
}

// wake has transfers from a peer who is back try again at once.
func (f *files) wake(from crypto.MeetingKey) {
	for _, t := range f.transfers {
		if t.offer.From.Key == from {
			t.ring()
		}
	}
}
