use super::*;

fn roots() -> RootKeys {
    RootKeys::parse(&new_root_key()).unwrap()
}

fn new_key(roots: &RootKeys, purpose: Purpose, epoch: u16) -> WrappedKey {
    let wrapped = roots.wrap(&place(1, purpose, 0, epoch), &SecretKey::random());
    WrappedKey { purpose, subject: 0, epoch, is_active: true, wrapped: Some(wrapped) }
}

fn tenant_keys(roots: &RootKeys) -> Vec<WrappedKey> {
    TenantKeys::PURPOSES.map(|purpose| new_key(roots, purpose, 1)).to_vec()
}

/// The keys of a tenant under keys that were given.
fn unwrap(roots: &RootKeys, tenant: i32, keys: &[WrappedKey]) -> Result<TenantKeys, UnwrapError> {
    let opened = keys.iter().map(|key| {
        let place = place(tenant, key.purpose, 0, key.epoch);
        Ok::<_, UnwrapError>((key, roots.unwrap(&place, key.wrapped.as_deref().unwrap())?))
    });
    TenantKeys::assemble(tenant, opened.collect::<Result<_, _>>()?)
}

fn rewrap(roots: &RootKeys, key: &WrappedKey) -> Vec<u8> {
    let place = place(1, key.purpose, 0, key.epoch);
    roots.wrap(&place, &roots.unwrap(&place, key.wrapped.as_deref().unwrap()).unwrap())
}

fn joined(keys: &[&SecretString]) -> SecretString {
    SecretString::from(keys.iter().map(|key| key.expose_secret()).collect::<Vec<_>>().join(","))
}

/// Whether what one seals under a label the other opens.
fn is_same(one: &SubjectKey, other: &SubjectKey) -> bool {
    let sealed = seal(&one.section_key("identity"), b"", b"text");
    open(&other.section_key("identity"), b"", &sealed).is_ok()
}

#[test]
fn a_key_unwraps_where_it_belongs_and_nowhere_else() {
    let roots = roots();
    let stored = tenant_keys(&roots);
    let tenant = unwrap(&roots, 1, &stored).unwrap();
    assert_eq!(unwrap(&roots, 2, &stored).unwrap_err(), UnwrapError::Broken(BrokenSeal));
    assert_eq!(
        unwrap(&RootKeys::parse(&new_root_key()).unwrap(), 1, &stored).unwrap_err(),
        UnwrapError::OtherKey
    );

    let key = tenant.new_subject_key(7, 1);
    assert!(tenant.unwrap_subject(std::slice::from_ref(&key)).unwrap().active().is_some());
    for moved in [WrappedKey { subject: 8, ..key.clone() }, WrappedKey { epoch: 2, ..key.clone() }] {
        assert_eq!(tenant.unwrap_subject(&[moved]).unwrap_err(), UnwrapError::Broken(BrokenSeal));
    }
    let mut bytes = key.wrapped.clone().unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    let changed = WrappedKey { wrapped: Some(bytes), ..key };
    assert_eq!(tenant.unwrap_subject(&[changed]).unwrap_err(), UnwrapError::Broken(BrokenSeal));
}

#[test]
fn a_tenant_needs_each_of_its_keys() {
    let roots = roots();
    let stored = tenant_keys(&roots);
    for missing in 0..stored.len() {
        let mut stored = stored.clone();
        stored.remove(missing);
        assert_eq!(unwrap(&roots, 1, &stored).unwrap_err(), UnwrapError::Malformed);
    }
}

#[test]
fn a_new_root_key_unwraps_nothing_until_the_old_one_stands_beside_it() {
    let (old, new) = (new_root_key(), new_root_key());
    let stored = tenant_keys(&RootKeys::parse(&old).unwrap());
    let subject = unwrap(&RootKeys::parse(&old).unwrap(), 1, &stored).unwrap().new_subject_key(7, 1);

    assert_eq!(unwrap(&RootKeys::parse(&new).unwrap(), 1, &stored).unwrap_err(), UnwrapError::OtherKey);
    let both = RootKeys::parse(&joined(&[&new, &old])).unwrap();
    let rewrapped: Vec<_> =
        stored.iter().map(|key| WrappedKey { wrapped: Some(rewrap(&both, key)), ..key.clone() }).collect();
    assert!(stored.iter().all(|key| !both.is_current(key.wrapped.as_deref().unwrap())));
    assert!(rewrapped.iter().all(|key| both.is_current(key.wrapped.as_deref().unwrap())));
    // The old root key is gone, the keys below it are what they were.
    let tenant = unwrap(&RootKeys::parse(&new).unwrap(), 1, &rewrapped).unwrap();
    assert!(tenant.unwrap_subject(&[subject]).unwrap().active().is_some());
}

#[test]
fn a_new_wrapping_key_leaves_subjects_as_they_are() {
    let roots = roots();
    let mut stored = tenant_keys(&roots);
    let before = unwrap(&roots, 1, &stored).unwrap();
    let key = before.new_subject_key(7, 1);
    stored[0].is_active = false;
    stored.push(new_key(&roots, Purpose::Wrapping, 2));
    let after = unwrap(&roots, 1, &stored).unwrap();
    assert!(before.is_current(key.wrapped.as_deref().unwrap()));
    assert!(!after.is_current(key.wrapped.as_deref().unwrap()));
    let rewrapped = WrappedKey { wrapped: Some(after.rewrap(&key).unwrap()), ..key.clone() };
    assert!(after.is_current(rewrapped.wrapped.as_deref().unwrap()));
    let (one, other) = (before.unwrap_subject(&[key]).unwrap(), after.unwrap_subject(&[rewrapped]).unwrap());
    assert!(is_same(one.active().unwrap(), other.active().unwrap()));
}

#[test]
fn older_subject_keys_open_and_destroyed_ones_are_gone() {
    let tenant = ephemeral_tenant(1).unwrap();
    let old = WrappedKey { is_active: false, ..tenant.new_subject_key(7, 1) };
    let keys = tenant.unwrap_subject(&[old.clone(), tenant.new_subject_key(7, 2)]).unwrap();
    assert_eq!(keys.active().unwrap().epoch(), 2);
    assert!(keys.of_epoch(1).is_some() && !is_same(keys.of_epoch(1).unwrap(), keys.active().unwrap()));

    let destroyed = tenant.unwrap_subject(&[WrappedKey { wrapped: None, ..old }]).unwrap();
    assert!(destroyed.active().is_none() && destroyed.of_epoch(1).is_none());
    assert_eq!(destroyed.last_epoch(), 1);
}

#[test]
fn sections_have_keys_of_their_own() {
    let key = SubjectKey::ephemeral(7, 1);
    let sealed = seal(&key.section_key("identity"), b"", b"text");
    assert!(open(&key.section_key("identity"), b"", &sealed).is_ok());
    assert!(open(&key.section_key("hiv"), b"", &sealed).is_err());
}

#[test]
fn subjects_are_told_apart_and_never_zero() {
    let tenant = ephemeral_tenant(1).unwrap();
    assert_eq!(tenant.subject_of_patient("a"), tenant.subject_of_patient("a"));
    assert_ne!(tenant.subject_of_patient("a"), tenant.subject_of_patient("b"));
    assert_ne!(tenant.subject_of_patient("a"), ephemeral_tenant(1).unwrap().subject_of_patient("a"));
    assert_ne!(tenant.name("patient", b"a"), tenant.name("id", b"a"));
}

#[test]
fn root_keys_are_32_bytes_in_base64() {
    for text in ["", " ,", "c2hvcnQ=", "not base64!", "AAAA"] {
        assert!(matches!(RootKeys::parse(&SecretString::from(text)), Err(RootKeyError::Malformed)), "{text}");
    }
}

#[test]
fn the_file_provider_keeps_its_key() {
    let folder = std::env::temp_dir().join(format!("vesta-root-key-{}", random::id(0)));
    let provider = RootKeyProvider::File(folder.join("root.key"));
    assert_eq!(provider.root_keys().unwrap().current_id(), provider.root_keys().unwrap().current_id());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_ring_keeps_forgets_and_is_bounded() {
    let ring = KeyRing::new(roots(), 10, Duration::from_secs(600));
    for subject in 0..100 {
        ring.keep_subject(1, subject, Arc::default());
    }
    ring.subjects.run_pending_tasks();
    assert!(ring.subjects.entry_count() <= 10);
    ring.keep_subject(1, 5, Arc::default());
    ring.forget_subject(1, 5);
    assert!(ring.subject(1, 5).is_none());
    ring.keep_tenant(Arc::new(ephemeral_tenant(3).unwrap()));
    assert!(ring.tenant(3).is_some());
    ring.forget_all();
    assert!(ring.tenant(3).is_none());
}
