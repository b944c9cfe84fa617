//! Lottie stickers: drawings as programs, which Matrix's clients don't run. They are drawn here, as moving pictures.

use std::collections::BTreeMap;

use rasterlottie::{Animation, GifRenderConfig, RasterlottieError, RenderConfig, Renderer, Rgba8};
use serde_json::Value;

/// The largest program that is read: Discord's own limit of a sticker's file.
pub(super) const MAX_BYTES: usize = 512 << 10;
/// The larger side of the picture. Discord shows stickers at half of that, on screens of which some have twice as many dots.
const SIDE: f64 = 320.0;
/// The largest surface that a program may ask for, each way.
const MAX_SIDE: f64 = 4_096.0;
/// How many layers are drawn, those of drawings in the drawing each time that they are.
const MAX_LAYERS: usize = 2_000;
/// How often all repeaters together may repeat what is in them, and how many points a star may have.
const MAX_COPIES: f64 = 1_000.0;
const FRAMES_PER_SECOND: f32 = 20.0;
const MAX_SECONDS: f32 = 8.0;
/// The slower, the better the colours: 1 to 30.
const QUANTIZER_SPEED: i32 = 10;

/// Why a sticker is not drawn.
#[derive(Debug, thiserror::Error)]
pub(super) enum Undrawable {
    #[error("it is no Lottie drawing: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("it is too large to be drawn")]
    TooLarge,
    #[error("it can't be drawn: {0}")]
    Unsupported(#[from] RasterlottieError),
}

/// Draws a program as a GIF. It takes a while.
pub(super) fn draw(program: &[u8]) -> Result<Vec<u8>, Undrawable> {
    if program.len() > MAX_BYTES {
        return Err(Undrawable::TooLarge);
    }
    let whole: Value = serde_json::from_slice(program)?;
    check(&whole)?;
    let side = |key: &str| whole[key].as_f64().unwrap_or_default();
    let larger = side("w").max(side("h"));
    if larger < 1.0 {
        return Err(Undrawable::TooLarge);
    }
    let animation: Animation = serde_json::from_value(whole)?;
    let render = RenderConfig::new(Rgba8::TRANSPARENT, (SIDE / larger) as f32);
    let config = GifRenderConfig::new(render, FRAMES_PER_SECOND, MAX_SECONDS, QUANTIZER_SPEED);
    Ok(Renderer::default().render_gif(&animation, config)?)
}

/// Whether drawing it takes no more than a sticker may: the program says how large surfaces are and how often something is repeated.
fn check(whole: &Value) -> Result<(), Undrawable> {
    let mut copies = 1.0;
    check_values(whole, &mut copies)?;
    let mut assets = BTreeMap::new();
    for asset in whole["assets"].as_array().into_iter().flatten() {
        if let Some(id) = asset["id"].as_str() {
            assets.insert(id, &asset["layers"]);
        }
    }
    let mut known = BTreeMap::new();
    let drawn = layers(&whole["layers"], &assets, &mut known)?;
    if drawn > MAX_LAYERS { Err(Undrawable::TooLarge) } else { Ok(()) }
}

/// Looks at everything there is; as deep as JSON is read at all.
fn check_values(value: &Value, copies: &mut f64) -> Result<(), Undrawable> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| check_values(item, copies)),
        Value::Object(fields) => {
            let large = |key: &&str| {
                fields.get(*key).and_then(Value::as_f64).is_some_and(|side| side > MAX_SIDE)
            };
            if ["w", "h", "sw", "sh"].iter().any(large) {
                return Err(Undrawable::TooLarge);
            }
            match fields.get("ty").and_then(Value::as_str) {
                Some("rp") => *copies *= fixed(fields.get("c"))?.max(1.0),
                Some("sr") if fixed(fields.get("pt"))? > MAX_COPIES => {
                    return Err(Undrawable::TooLarge);
                }
                _ => {}
            }
            if *copies > MAX_COPIES {
                return Err(Undrawable::TooLarge);
            }
            fields.values().try_for_each(|field| check_values(field, copies))
        }
        _ => Ok(()),
    }
}

/// A number that doesn't change with time: of one that does it is hard to say how large it gets.
fn fixed(property: Option<&Value>) -> Result<f64, Undrawable> {
    let Some(property) = property else { return Ok(0.0) };
    let value = property.get("k").unwrap_or(property);
    match value {
        Value::Array(values) if values.len() == 1 => values[0].as_f64(),
        value => value.as_f64(),
    }
    .ok_or(Undrawable::TooLarge)
}

/// How many layers are drawn for these. `known`: those of the drawings within; `None` while they are counted.
fn layers<'a>(
    list: &'a Value,
    assets: &BTreeMap<&'a str, &'a Value>,
    known: &mut BTreeMap<&'a str, Option<usize>>,
) -> Result<usize, Undrawable> {
    let mut count = 0_usize;
    for layer in list.as_array().into_iter().flatten() {
        count = count.saturating_add(1);
        let Some(id) = layer["refId"].as_str() else { continue };
        let within = match known.get(id) {
            Some(Some(within)) => *within,
            // It is part of itself.
            Some(None) => return Err(Undrawable::TooLarge),
            None => {
                let Some(asset) = assets.get(id).copied() else { continue };
                known.insert(id, None);
                let within = layers(asset, assets, known)?;
                known.insert(id, Some(within));
                within
            }
        };
        count = count.saturating_add(within);
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn still(value: impl Into<Value>) -> Value {
        json!({ "a": 0, "k": value.into() })
    }

    /// A red ball that rolls from left to right.
    fn ball() -> Value {
        let place = json!({ "a": 1, "k": [
            { "t": 0, "s": [100, 256, 0], "i": { "x": [0.5], "y": [0.5] }, "o": { "x": [0.5], "y": [0.5] } },
            { "t": 29, "s": [400, 256, 0] },
        ] });
        json!({
            "v": "5.7.6", "fr": 30, "ip": 0, "op": 30, "w": 512, "h": 256, "assets": [],
            "layers": [{
                "ty": 4, "ind": 1, "ip": 0, "op": 30, "st": 0,
                "ks": {
                    "o": still(100), "r": still(0), "p": place,
                    "a": still(json!([0, 0, 0])), "s": still(json!([100, 100, 100])),
                },
                "shapes": [{ "ty": "gr", "it": [
                    { "ty": "el", "p": still(json!([0, 0])), "s": still(json!([120, 120])) },
                    { "ty": "fl", "c": still(json!([1, 0, 0, 1])), "o": still(100) },
                    {
                        "ty": "tr", "p": still(json!([0, 0])), "a": still(json!([0, 0])),
                        "s": still(json!([100, 100])), "r": still(0), "o": still(100),
                    },
                ] }],
            }],
        })
    }

    fn drawn(program: &Value) -> Result<Vec<u8>, Undrawable> {
        draw(program.to_string().as_bytes())
    }

    #[test]
    fn a_drawing_becomes_a_moving_picture() {
        let gif = drawn(&ball()).unwrap();
        assert_eq!(&gif[..6], b"GIF89a");
        let size = [u16::from_le_bytes([gif[6], gif[7]]), u16::from_le_bytes([gif[8], gif[9]])];
        assert_eq!(size, [320, 160]);
        // Each picture has a graphic control extension before it (GIF89a, 23).
        let pictures = gif.windows(3).filter(|bytes| *bytes == [0x21, 0xf9, 0x04]).count();
        assert!(pictures >= 10, "only {pictures} pictures");
    }

    #[test]
    fn what_would_take_too_long_is_not_drawn() {
        let with = |change: fn(&mut Value)| {
            let mut program = ball();
            change(&mut program);
            matches!(drawn(&program), Err(Undrawable::TooLarge))
        };
        assert!(with(|program| program["w"] = json!(100_000)));
        assert!(with(|program| {
            program["w"] = json!(0);
            program["h"] = json!(0);
        }));
        assert!(with(|program| program["layers"][0]["w"] = json!(1e9)));
        let copier = |copies: Value| json!({ "ty": "rp", "c": copies });
        let repeated: [Value; 3] =
            [still(json!(1e9)), json!({ "a": 1, "k": [{ "t": 0, "s": [1e9] }] }), json!("x")];
        for copies in repeated {
            let mut program = ball();
            program["layers"][0]["shapes"][0]["it"][0] = copier(copies);
            assert!(matches!(drawn(&program), Err(Undrawable::TooLarge)));
        }
        assert!(with(|program| {
            let shape = json!({ "ty": "sr", "sy": 1, "pt": { "a": 0, "k": 1e9 } });
            program["layers"][0]["shapes"][0]["it"][0] = shape;
        }));
        // Each drawing has the one before it in it twice.
        assert!(with(|program| {
            let twice = |id: u32| json!({ "ty": 0, "refId": format!("a{id}") });
            let asset = |id: u32| {
                let layers =
                    if id == 0 { json!([{}]) } else { json!([twice(id - 1), twice(id - 1)]) };
                json!({ "id": format!("a{id}"), "layers": layers })
            };
            program["assets"] = (0..40).map(asset).collect();
            program["layers"] = json!([twice(39)]);
        }));
        assert!(with(|program| {
            program["assets"] = json!([{ "id": "a", "layers": [{ "ty": 0, "refId": "a" }] }]);
            program["layers"] = json!([{ "ty": 0, "refId": "a" }]);
        }));
        assert!(matches!(draw(&vec![b' '; MAX_BYTES + 1]), Err(Undrawable::TooLarge)));
        assert!(matches!(draw(b"\x89PNG"), Err(Undrawable::Unreadable(_))));
    }
}
