package secret

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/core/cryptofmt"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Errors of a sealed value that does not open.
var (
	// ErrSealed is that it was sealed under other associated data, or was altered:
	// Tink does not tell these apart, on purpose.
	ErrSealed = errors.New("the sealed value does not open: it was altered, or its key is not in the keyset")
	// ErrNoKey is that it names a key that the keyset does not have: another process
	// may have a newer one, or the key was removed.
	ErrNoKey = errors.New("the sealed value does not open: its key is not in the keyset")
)

// Sealer seals secrets with the primary key of a keyset and opens them with any
// key of it. It is safe for use by several goroutines.
type Sealer struct{ ring atomic.Pointer[ring] }

// A ring is what a keyset gives.
type ring struct {
	aead        tink.AEAD
	fingerprint []byte
	keys        []KeyInfo
}

// KeyInfo says what may be known of a key.
type KeyInfo struct {
	ID      uint32
	Primary bool
}

// NewSealer makes a Sealer of a keyset: Tink's JSON form, in base64, as
// NewKeyset makes it.
func NewSealer(encoded Text) (*Sealer, error) {
	s := &Sealer{}
	if err := s.Replace(encoded); err != nil {
		return nil, err
	}
	return s, nil
}

// Replace has the sealer go on with another keyset. One that cannot be read
// changes nothing.
func (s *Sealer) Replace(encoded Text) error {
	handle, err := readKeyset(encoded)
	if err != nil {
		return err
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return errors.New("the keyset holds a key that is not for AEAD: make one with `bot keyset new`")
	}
	fingerprint, err := fingerprintKey(handle)
	if err != nil {
		return err
	}
	next := &ring{aead: primitive, fingerprint: fingerprint}
	for _, key := range handle.KeysetInfo().GetKeyInfo() {
		next.keys = append(next.keys, KeyInfo{ID: key.GetKeyId(), Primary: key.GetKeyId() == handle.KeysetInfo().GetPrimaryKeyId()})
	}
	s.ring.Store(next)
	return nil
}

// Keys lists the keys of the keyset.
func (s *Sealer) Keys() []KeyInfo { return s.ring.Load().keys }

// Seal encrypts secrets by name. They open again only under the same
// associated data.
func (s *Sealer) Seal(secrets map[string]Text, associated []byte) ([]byte, error) {
	values := make(map[string]string, len(secrets))
	for name, text := range secrets {
		values[name] = text.Reveal()
	}
	plain, err := json.Marshal(values)
	if err != nil {
		return nil, errors.New("encode secrets for sealing")
	}
	defer zero(plain)
	sealed, err := s.ring.Load().aead.Encrypt(plain, associated)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// Open decrypts what Seal made. The error is ErrSealed or ErrNoKey.
func (s *Sealer) Open(sealed, associated []byte) (map[string]Text, error) {
	ring := s.ring.Load()
	plain, err := ring.aead.Decrypt(sealed, associated)
	switch id, named := KeyOf(sealed); {
	case err == nil:
	case named && !slices.ContainsFunc(ring.keys, func(k KeyInfo) bool { return k.ID == id }):
		return nil, ErrNoKey
	default:
		return nil, ErrSealed
	}
	defer zero(plain)
	var secrets map[string]Text
	if err := json.Unmarshal(plain, &secrets); err != nil {
		return nil, ErrSealed
	}
	return secrets, nil
}

// KeyOf reads which key sealed a value: Tink writes it before what it encrypts.
// Nothing vouches for it before the value opens.
func KeyOf(sealed []byte) (id uint32, ok bool) {
	if len(sealed) < cryptofmt.TinkPrefixSize || sealed[0] != cryptofmt.TinkStartByte {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:cryptofmt.TinkPrefixSize]), true
}

// Fingerprint tells two values apart without telling what they are: eight
// letters and digits, keyed with the primary key, so that nobody who lacks the
// keyset can try values against it. It changes when the primary key does.
func (s *Sealer) Fingerprint(value Text) string {
	mac := hmac.New(sha256.New, s.ring.Load().fingerprint)
	mac.Write([]byte(value.Reveal()))
	return strings.ToLower(base32.StdEncoding.EncodeToString(mac.Sum(nil)[:5]))
}

// NewKeyset makes a keyset of one AES256-GCM key.
func NewKeyset() (Text, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return Text{}, fmt.Errorf("make a keyset: %w", err)
	}
	return writeKeyset(handle)
}

// RotateKeyset adds a key to a keyset and makes it the primary one. The keys it
// had stay, so that what is sealed still opens.
func RotateKeyset(encoded Text) (Text, error) {
	handle, err := readKeyset(encoded)
	if err != nil {
		return Text{}, err
	}
	manager := keyset.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return Text{}, fmt.Errorf("add a key: %w", err)
	}
	if err := manager.SetPrimary(id); err != nil {
		return Text{}, fmt.Errorf("make the new key primary: %w", err)
	}
	handle, err = manager.Handle()
	if err != nil {
		return Text{}, fmt.Errorf("rotate the keyset: %w", err)
	}
	return writeKeyset(handle)
}

// RemoveKey takes a key out of a keyset. What it sealed opens no more.
func RemoveKey(encoded Text, id uint32) (Text, error) {
	handle, err := readKeyset(encoded)
	if err != nil {
		return Text{}, err
	}
	if handle.KeysetInfo().GetPrimaryKeyId() == id {
		return Text{}, fmt.Errorf("key %d is the primary key, which seals: rotate first", id)
	}
	manager := keyset.NewManagerFromHandle(handle)
	if err := manager.Delete(id); err != nil {
		return Text{}, fmt.Errorf("the keyset has no key %d", id)
	}
	if handle, err = manager.Handle(); err != nil {
		return Text{}, fmt.Errorf("take a key out: %w", err)
	}
	return writeKeyset(handle)
}

func readKeyset(encoded Text) (*keyset.Handle, error) {
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded.Reveal()))
	if err != nil {
		return nil, errors.New("the keyset is not base64: make one with `bot keyset new`")
	}
	defer zero(plain)
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(plain)))
	if err != nil {
		// Tink's error may quote the input.
		return nil, errors.New("the keyset is not Tink's JSON form: make one with `bot keyset new`")
	}
	return handle, nil
}

func writeKeyset(handle *keyset.Handle) (Text, error) {
	var buf bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&buf)); err != nil {
		return Text{}, fmt.Errorf("write the keyset: %w", err)
	}
	defer zero(buf.Bytes())
	return New(base64.StdEncoding.EncodeToString(buf.Bytes())), nil
}

// fingerprintKey derives a key for fingerprints from the primary key, so that
// there is one secret to keep and rotate rather than two.
func fingerprintKey(handle *keyset.Handle) ([]byte, error) {
	material := insecurecleartextkeyset.KeysetMaterial(handle)
	for _, key := range material.GetKey() {
		if key.GetKeyId() == material.GetPrimaryKeyId() {
			return hkdf.Key(sha256.New, key.GetKeyData().GetValue(), nil, "atlas-integration-bot fingerprint", sha256.Size)
		}
	}
	return nil, errors.New("the keyset has no primary key: make one with `bot keyset new`")
}

// zero shortens the life of a secret in memory. Go may have copied it before:
// docs/security.md says what that leaves.
func zero(b []byte) { clear(b) }
