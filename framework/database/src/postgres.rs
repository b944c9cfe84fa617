//! How we use Postgres: a pool, in a schema of our own where one is named.

use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Executor as _, PgPool, Postgres,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions},
    query::Query,
};

use crate::{DatabaseError, Options, Sql, Value};

pub(crate) async fn open(url: &str, options: &Options) -> Result<PgPool, DatabaseError> {
    let mut connect: PgConnectOptions = url.parse()?;
    connect = connect.disable_statement_logging().statement_cache_capacity(512);
    if let Some(schema) = &options.schema {
        let quoted = format!("\"{}\"", schema.replace('"', ""));
        let mut connection = connect.clone().connect().await?;
        connection
            .execute(sqlx::query(AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS {quoted}"))))
            .await?;
        connect = connect.options([("search_path", quoted)]);
    }
    // One connection more than there are readers is for the writer.
    Ok(PgPoolOptions::new().max_connections(options.readers + 2).connect_with(connect).await?)
}

/// Whether one of the texts has a zero byte in it. Postgres has no such texts and refuses them; that would undo the transaction.
/// In a list such a text is left out, since nothing is equal to it.
pub(crate) fn has_zero(args: &[Value]) -> bool {
    args.iter().any(|value| matches!(value, Value::Text(text) if text.contains('\0')))
}

/// A statement with its arguments.
pub(crate) fn query<'q>(sql: Sql, args: Vec<Value>) -> Query<'q, Postgres, PgArguments> {
    let mut query = sqlx::query(sql.for_postgres());
    for value in args {
        query = match value {
            Value::Int(v) => query.bind(v),
            Value::Text(v) => query.bind(v),
            Value::Blob(v) => query.bind(v),
            Value::NullInt => query.bind(None::<i64>),
            Value::NullText => query.bind(None::<String>),
            Value::NullBlob => query.bind(None::<Vec<u8>>),
            Value::Ints(v) => query.bind(v),
            Value::Texts(mut v) => {
                v.retain(|text| !text.contains('\0'));
                query.bind(v)
            }
        };
    }
    query
}
