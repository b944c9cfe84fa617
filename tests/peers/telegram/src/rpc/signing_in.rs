//! Signing in: by code, as a bot, by QR code.

use grammers_tl_types as tl;

use super::{Answer, Asker, refused};
use crate::{
    build,
    world::{CODE, World},
};

const HASH: &str = "hash";

pub(super) fn send_code(
    world: &mut World,
    _: Asker,
    request: tl::functions::auth::SendCode,
) -> Answer<tl::enums::auth::SentCode> {
    if by_phone(world, &request.phone_number).is_none() {
        return refused(400, "PHONE_NUMBER_UNOCCUPIED");
    }
    Ok(tl::types::auth::SentCode {
        r#type: tl::types::auth::SentCodeTypeApp { length: 5 }.into(),
        phone_code_hash: HASH.into(),
        next_type: None,
        timeout: None,
    }
    .into())
}

fn by_phone(world: &World, phone: &str) -> Option<i64> {
    let phone = phone.trim_start_matches('+');
    world.people.iter().find(|(_, person)| !person.bot && person.phone == phone).map(|(id, _)| *id)
}

pub(super) fn sign_in(
    world: &mut World,
    asker: Asker,
    request: tl::functions::auth::SignIn,
) -> Answer<tl::enums::auth::Authorization> {
    let Some(id) = by_phone(world, &request.phone_number) else {
        return refused(400, "PHONE_NUMBER_UNOCCUPIED");
    };
    if request.phone_code_hash != HASH || request.phone_code.as_deref() != Some(CODE) {
        return refused(400, "PHONE_CODE_INVALID");
    }
    if world.people.get(&id).is_some_and(|person| person.password.is_some()) {
        world.half_way.insert(asker.key, id);
        return refused(401, "SESSION_PASSWORD_NEEDED");
    }
    authorised(world, asker, id)
}

pub(super) fn authorised(
    world: &mut World,
    asker: Asker,
    id: i64,
) -> Answer<tl::enums::auth::Authorization> {
    let Some(person) = world.people.get(&id) else { return refused(400, "USER_ID_INVALID") };
    let user = build::user(id, person, true);
    world.signed_in.insert(asker.key, id);
    Ok(tl::types::auth::Authorization {
        setup_password_required: false,
        otherwise_relogin_days: None,
        tmp_sessions: None,
        future_auth_token: None,
        user,
    }
    .into())
}

pub(super) fn bot(
    world: &mut World,
    asker: Asker,
    request: tl::functions::auth::ImportBotAuthorization,
) -> Answer<tl::enums::auth::Authorization> {
    let token = request.bot_auth_token;
    let found = world.people.iter().find(|(_, person)| person.bot && person.token == token);
    match found.map(|(id, _)| *id) {
        Some(id) => authorised(world, asker, id),
        None => refused(400, "ACCESS_TOKEN_INVALID"),
    }
}

pub(super) fn qr(
    world: &mut World,
    asker: Asker,
    _: tl::functions::auth::ExportLoginToken,
) -> Answer<tl::enums::auth::LoginToken> {
    let shown = world.qr.iter().find(|(_, (key, _))| *key == asker.key);
    let (token, scanned) = match shown {
        Some((token, (_, scanned))) => (token.clone(), *scanned),
        None => (asker.key.to_vec(), None),
    };
    if let Some(id) = scanned {
        world.qr.remove(&token);
        let authorization = authorised(world, asker, id)?;
        return Ok(tl::types::auth::LoginTokenSuccess { authorization }.into());
    }
    world.qr.insert(token.clone(), (asker.key, None));
    Ok(tl::types::auth::LoginToken { expires: i32::MAX, token }.into())
}

pub(super) fn log_out(
    world: &mut World,
    asker: Asker,
    _: tl::functions::auth::LogOut,
) -> Answer<tl::enums::auth::LoggedOut> {
    world.signed_in.remove(&asker.key);
    Ok(tl::types::auth::LoggedOut { future_auth_token: None }.into())
}
