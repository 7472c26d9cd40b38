//! The kinds of resources, one file each: to messages and from requests.

mod acl;
mod agent;
mod credentials;
mod domain;
mod number;
mod peer;
mod trunk;

#[cfg(test)]
mod tests {
    use trunkline_model::{
        AccessControlList, Agent, Change, Credentials, Domain, Live, Number, Peer, Ref, Resource, Tables,
        Trunk,
    };

    use crate::kind::{Connect, View};

    /// Makes one of whatever the bytes say, changes it by whatever the others say, tries to store it and shows it.
    fn run<T: Connect>(create: &[u8], update: &[u8]) -> bool
    where
        T::Create: prost::Message + Default,
        T::Update: prost::Message + Default,
    {
        use prost::Message;
        let Ok(create) = T::Create::decode(create) else { return false };
        let Ok(mut made) = T::make(create, Ref::from("x")) else { return true };
        if let Ok(update) = T::Update::decode(update) {
            // Half a change is thrown away with its copy in the services.
            let mut copy = made.clone();
            if copy.edit(update).is_ok() {
                made = copy;
            }
        }
        for name in T::FIELDS {
            assert!(!made.field(name).is("no such value"));
        }
        let live = Live::new(Tables::default());
        let stored: Resource = made.clone().into();
        let _ = live.try_update(|tables| tables.apply(&[Change::Create(stored)]));
        let tables = live.snapshot();
        let _ = made.message(&View { tables: &tables, secrets: true });
        true
    }

    #[test]
    fn any_bytes_are_a_request_or_refused() {
        let mut seed = 42u64;
        let mut next = |bound: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % bound
        };
        let mut understood = [0; 7];
        for _ in 0..2_000 {
            // Fields that the messages have, with values of every sort: noise alone is hardly ever a message.
            let mut bytes = || {
                let mut out = Vec::new();
                for _ in 0..next(6) {
                    let number = 1 + next(12) as u8;
                    match next(3) {
                        0 => out.extend([number << 3, next(128) as u8]),
                        1 => {
                            let text =
                                ["", "x", "10.0.0.0/8", "::1", "tel:+1", "sip:a@b", "(", "\u{7f}é\r\n"];
                            let text = text[next(8) as usize].as_bytes();
                            out.extend([number << 3 | 2, text.len() as u8]);
                            out.extend(text);
                        }
                        _ => out.extend((0..next(20)).map(|_| next(256) as u8)),
                    }
                }
                out
            };
            let (create, update) = (bytes(), bytes());
            let ran = [
                run::<AccessControlList>(&create, &update),
                run::<Agent>(&create, &update),
                run::<Credentials>(&create, &update),
                run::<Domain>(&create, &update),
                run::<Number>(&create, &update),
                run::<Peer>(&create, &update),
                run::<Trunk>(&create, &update),
            ];
            for (count, ran) in understood.iter_mut().zip(ran) {
                *count += u32::from(ran);
            }
        }
        assert!(understood.iter().all(|count| *count > 200), "{understood:?}");
    }
}
