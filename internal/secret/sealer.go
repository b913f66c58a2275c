package secret

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// ErrSealed is what opening a seal ends with when the value was sealed with
// another key, under other associated data, or was altered: Tink does not tell
// these apart, on purpose.
var ErrSealed = errors.New("the sealed value does not open: it was altered, or its key is not in the keyset")

// Sealer seals secrets with the primary key of a keyset and opens them with any
// key of it. It is safe for use by several goroutines.
type Sealer struct {
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
	handle, err := readKeyset(encoded)
	if err != nil {
		return nil, err
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, errors.New("the keyset holds a key that is not for AEAD: make one with `bot keyset new`")
	}
	fingerprint, err := fingerprintKey(handle)
	if err != nil {
		return nil, err
	}
	s := &Sealer{aead: primitive, fingerprint: fingerprint}
	for _, key := range handle.KeysetInfo().GetKeyInfo() {
		s.keys = append(s.keys, KeyInfo{ID: key.GetKeyId(), Primary: key.GetKeyId() == handle.KeysetInfo().GetPrimaryKeyId()})
	}
	return s, nil
}

// Keys lists the keys of the keyset.
func (s *Sealer) Keys() []KeyInfo { return s.keys }

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
	sealed, err := s.aead.Encrypt(plain, associated)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// Open decrypts what Seal made.
func (s *Sealer) Open(sealed, associated []byte) (map[string]Text, error) {
	plain, err := s.aead.Decrypt(sealed, associated)
	if err != nil {
		return nil, ErrSealed
	}
	defer zero(plain)
	var secrets map[string]Text
	if err := json.Unmarshal(plain, &secrets); err != nil {
		return nil, ErrSealed
	}
	return secrets, nil
}

// Fingerprint tells two values apart without telling what they are: eight
// letters and digits, keyed with the primary key, so that nobody who lacks the
// keyset can try values against it. It changes when the primary key does.
func (s *Sealer) Fingerprint(value Text) string {
	mac := hmac.New(sha256.New, s.fingerprint)
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
