//! The network of all-MiniLM-L6-v2: BERT with six layers of 384 numbers, the mean of the last one, unit length.
//!
//! The word pieces of all texts of a batch stand in one long table without padding; only attention goes text by text. So a
//! vector does not depend on which texts were computed with it, and no time goes into padding.

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::{LayerNorm, Linear, Module as _, VarBuilder, ops::softmax_last_dim};

use crate::gelu::Gelu;

/// Numbers per word piece, and per vector.
pub(crate) const WIDTH: usize = 384;
const HEADS: usize = 12;
const HEAD: usize = WIDTH / HEADS;
const INNER: usize = 1536;
const LAYERS: usize = 6;
const VOCABULARY: usize = 30_522;
const POSITIONS: usize = 512;
const TYPES: usize = 2;
const EPSILON: f64 = 1e-12;

/// The network with its weights.
pub(crate) struct Bert {
    words: Tensor,
    /// Position and text type together: there is one type only.
    positions: Tensor,
    norm: LayerNorm,
    layers: Vec<Layer>,
}

impl Bert {
    /// Takes the weights out of the bytes of a safetensors file.
    pub(crate) fn read(bytes: Vec<u8>) -> Result<Self> {
        let weights = VarBuilder::from_buffered_safetensors(bytes, DType::F32, &Device::Cpu)?;
        let embeddings = weights.pp("embeddings");
        let table = |name: &str, rows| embeddings.pp(name).get((rows, WIDTH), "weight");
        let types = table("token_type_embeddings", TYPES)?;
        let positions = table("position_embeddings", POSITIONS)?.broadcast_add(&types.narrow(0, 0, 1)?)?;
        let layers = (0..LAYERS).map(|layer| Layer::read(&weights.pp(format!("encoder.layer.{layer}"))));
        Ok(Self {
            words: table("word_embeddings", VOCABULARY)?,
            positions,
            norm: norm(&embeddings.pp("LayerNorm"))?,
            layers: layers.collect::<Result<_>>()?,
        })
    }

    /// The vectors of texts, given their word pieces; no text may be empty.
    pub(crate) fn vectors(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let pieces: Vec<u32> = texts.iter().flat_map(|text| text.iter().copied()).collect();
        let places: Vec<u32> = texts.iter().flat_map(|text| (0u32..).take(text.len())).collect();
        let words = self.words.index_select(&Tensor::new(pieces, &Device::Cpu)?, 0)?;
        let places = self.positions.index_select(&Tensor::new(places, &Device::Cpu)?, 0)?;
        let mut table = self.norm.forward(&(words + places)?)?;
        let spans = spans(texts);
        for layer in &self.layers {
            table = layer.forward(&table, &spans)?;
        }
        spans.iter().try_fold(Vec::with_capacity(texts.len()), |mut vectors, span| {
            vectors.extend(pooled(&table, span)?);
            Ok(vectors)
        })
    }
}

/// Neighbouring texts of the same length: they are computed together.
struct Span {
    start: usize,
    texts: usize,
    length: usize,
}

fn spans(texts: &[&[u32]]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut start = 0;
    for text in texts {
        match spans.last_mut() {
            Some(span) if span.length == text.len() => span.texts += 1,
            _ => spans.push(Span { start, texts: 1, length: text.len() }),
        }
        start += text.len();
    }
    spans
}

/// The mean of a text's rows, at unit length.
fn pooled(table: &Tensor, span: &Span) -> Result<Vec<Vec<f32>>> {
    let rows = table.narrow(0, span.start, span.texts * span.length)?.reshape((span.texts, span.length, WIDTH))?;
    let mean = rows.mean(1)?;
    let length = mean.sqr()?.sum_keepdim(1)?.sqrt()?;
    mean.broadcast_div(&length)?.to_vec2()
}

struct Layer {
    /// Queries, keys and values in one product.
    projections: Linear,
    mixed: Linear,
    mixed_norm: LayerNorm,
    inner: Linear,
    outer: Linear,
    outer_norm: LayerNorm,
}

impl Layer {
    fn read(weights: &VarBuilder) -> Result<Self> {
        let attention = weights.pp("attention");
        let parts = ["query", "key", "value"].map(|part| attention.pp("self").pp(part));
        // Attention divides by the root of the head's width; the queries bring that with them.
        let scales = [1.0 / (HEAD as f64).sqrt(), 1.0, 1.0];
        let scaled = |part: &VarBuilder, scale: f64| -> Result<(Tensor, Tensor)> {
            Ok(((part.get((WIDTH, WIDTH), "weight")? * scale)?, (part.get(WIDTH, "bias")? * scale)?))
        };
        let parts = parts.iter().zip(scales).map(|(part, scale)| scaled(part, scale));
        let (matrices, biases): (Vec<_>, Vec<_>) = parts.collect::<Result<Vec<_>>>()?.into_iter().unzip();
        Ok(Self {
            projections: Linear::new(Tensor::cat(&matrices, 0)?, Some(Tensor::cat(&biases, 0)?)),
            mixed: linear(&attention.pp("output.dense"), WIDTH, WIDTH)?,
            mixed_norm: norm(&attention.pp("output.LayerNorm"))?,
            inner: linear(&weights.pp("intermediate.dense"), WIDTH, INNER)?,
            outer: linear(&weights.pp("output.dense"), INNER, WIDTH)?,
            outer_norm: norm(&weights.pp("output.LayerNorm"))?,
        })
    }

    fn forward(&self, table: &Tensor, spans: &[Span]) -> Result<Tensor> {
        let projected = self.projections.forward(table)?;
        let contexts = spans.iter().map(|span| attention(&projected, span)).collect::<Result<Vec<_>>>()?;
        let mixed = self.mixed.forward(&Tensor::cat(&contexts, 0)?)?;
        let table = self.mixed_norm.forward(&(mixed + table)?)?;
        let inner = self.inner.forward(&table)?;
        inner.inplace_op1(&Gelu)?;
        self.outer_norm.forward(&(self.outer.forward(&inner)? + table)?)
    }
}

/// What each word piece of a span's texts takes from the others of its text.
fn attention(projected: &Tensor, span: &Span) -> Result<Tensor> {
    let rows = span.texts * span.length;
    let split = projected.narrow(0, span.start, rows)?.reshape((span.texts, span.length, 3, HEADS, HEAD))?;
    let split = split.permute((2, 0, 3, 1, 4))?.contiguous()?;
    let (queries, keys, values) = (split.get(0)?, split.get(1)?, split.get(2)?);
    let shares = softmax_last_dim(&queries.matmul(&keys.transpose(D::Minus1, D::Minus2)?)?)?;
    shares.matmul(&values)?.transpose(1, 2)?.reshape((rows, WIDTH))
}

fn linear(weights: &VarBuilder, from: usize, to: usize) -> Result<Linear> {
    Ok(Linear::new(weights.get((to, from), "weight")?, Some(weights.get(to, "bias")?)))
}

fn norm(weights: &VarBuilder) -> Result<LayerNorm> {
    Ok(LayerNorm::new(weights.get(WIDTH, "weight")?, weights.get(WIDTH, "bias")?, EPSILON))
}
