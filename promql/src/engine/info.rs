//! `info`: labels of info metrics joined to series.

use super::column::OutSeries;
use super::context::{Ctx, Steps};
use super::result::QueryError;
use crate::ast::Expr;

pub(crate) fn eval(_ctx: &Ctx<'_>, _args: &[Expr], _steps: Steps) -> Result<Vec<OutSeries>, QueryError> {
    Err(QueryError::Execution("function info() is not supported yet".to_owned()))
}
